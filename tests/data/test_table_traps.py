"""Tables that a reader could get wrong without a word."""

from __future__ import annotations

import datetime

import polars as pl
import pytest

from pkef_fast.data import Dataset, load_dataset, save_native
from pkef_fast.errors import InputError

SHOP = "user,item,behavior\nu1,a,view\nu1,b,buy\nu2,a,buy\n"
NONE = {"split": "none"}


def written(folder, files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def users(data):
    return [str(one) for one in data.user_ids]


def test_a_name_that_looks_like_a_glob_is_that_file(tmp_path):
    json = '{"user": "u1", "item": "a", "event": "buy"}\n'
    folder = written(
        tmp_path / "[2024] logs",
        {"log[1].csv": SHOP, "log1.csv": SHOP.replace("u1", "u9"), "log[1].jsonl": json},
    )
    assert users(load_dataset(folder / "log[1].csv", **NONE)) == ["u1", "u2"]
    assert users(load_dataset(folder / "log[1].jsonl", **NONE)) == ["u1"]
    pl.DataFrame({"user": ["u7"], "item": ["a"], "event": ["buy"]}).write_parquet(
        tmp_path / "p[1].parquet"
    )
    assert users(load_dataset(tmp_path / "p[1].parquet", **NONE)) == ["u7"]
    native = save_native(load_dataset(folder / "log1.csv", **NONE), tmp_path / "shop[1]")
    assert users(load_dataset(native)) == ["u2", "u9"]


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("train-00000-of-00001.csv", "test-00000-of-00001.csv"),
        ("shop_train.csv", "shop_test.csv"),
        ("train.csv", "test_set.csv"),
        ("split=train/0.csv", "split=test/0.csv"),
    ],
)
def test_parts_of_a_split_by_their_names(tmp_path, train, test):
    written(tmp_path, {train: SHOP, test: "user,item,behavior\nu2,b,buy\n"})
    data = load_dataset(tmp_path)
    assert data.counts() == {"view": 1, "buy": 2}
    assert len(data.test_users) == 1
    anew = load_dataset(tmp_path, columns="split=none", **NONE)
    assert anew.counts() == {"view": 1, "buy": 3}


def test_half_a_split_is_a_question(tmp_path):
    written(tmp_path, {"train.csv": SHOP, "valid.csv": SHOP})
    with pytest.raises(InputError, match="but not both a train and a test table"):
        load_dataset(tmp_path)


ROWS = "user,item\nu1,a\nu2,b\n"


@pytest.mark.parametrize(
    "names",
    [
        ("behavior=view/0.csv", "behavior=buy/0.csv"),
        ("view.csv", "buy.csv", "share.csv"),
        ("view.csv", "buy.csv", "remove_from_cart.csv"),
    ],
)
def test_behaviors_that_files_or_folders_are_named_after(tmp_path, names):
    data = load_dataset(written(tmp_path, dict.fromkeys(names, ROWS)), **NONE)
    assert data.behaviors[-2:] == ("view", "buy")
    assert data.behaviors[:-2] == (("share",) if "share.csv" in names else ())


def test_names_of_files_that_may_be_behaviors_are_a_question(tmp_path):
    written(tmp_path, {"log.csv": ROWS, "reviews.csv": ROWS})
    with pytest.raises(InputError, match=r"names of the files may say it \(log.csv, reviews.csv\)"):
        load_dataset(tmp_path)
    assert load_dataset(tmp_path, columns="behavior=none", **NONE).counts() == {"interaction": 2}


def test_every_file_must_say_the_same_of_its_rows(tmp_path):
    written(tmp_path, {"0.csv": ROWS, "1.csv": "user,item,behavior,time\nu1,a,buy,3\n"})
    with pytest.raises(
        InputError, match=r"0\.csv has no column 'behavior' for the behavior, which"
    ):
        load_dataset(tmp_path)
    written(tmp_path, {"0.csv": "Item,USER,Behavior,time\na,u3,buy,4\n", "2.csv": ""})
    data = load_dataset(tmp_path, **NONE)
    assert users(data) == ["u1", "u3"]


def test_ids_that_are_no_text_stay_distinct():
    ids = [bytes([200 + n]) * 4 for n in range(3)]
    data = Dataset.from_events(ids, [1, 2, 3], "buy", **NONE)
    assert users(data) == ["c8c8c8c8", "c9c9c9c9", "cacacaca"]


def test_whole_numbers_are_the_same_among_text_too(tmp_path):
    written(tmp_path, {"log.csv": "user,item,behavior\n101.0,a,view\n101,b,buy\na7,a,buy\n"})
    assert users(load_dataset(tmp_path / "log.csv", **NONE)) == ["101", "a7"]
    for name, column in (("0", [5.0, 7.0]), ("1", ["5", "x"])):
        frame = pl.DataFrame({"user": column, "item": [1, 2], "event": ["buy", "buy"]})
        (tmp_path / "parts").mkdir(exist_ok=True)
        frame.write_parquet(tmp_path / "parts" / f"{name}.parquet")
    assert users(load_dataset(tmp_path / "parts", **NONE)) == ["5", "7", "x"]


def parts(folder, name, columns):
    for n, column in enumerate(columns):
        frame = pl.DataFrame({"user": [1, 1], "item": [2 * n, 2 * n + 1], "event": ["buy"] * 2})
        frame.with_columns(column.alias(name)).write_parquet(folder / f"{n}.parquet")
    return folder


def test_large_ids_do_not_meet_where_one_file_has_floats(tmp_path):
    columns = [pl.Series([2**53 + 1, 7]), pl.Series([float(2**53), 7.0])]
    data = load_dataset(parts(tmp_path, "user", columns), **NONE)
    assert len(users(data)) == 3


def test_dates_beside_numbers_are_dates(tmp_path):
    day = datetime.date(2017, 7, 14)
    columns = [pl.Series([1_500_000_000, 1_500_000_001]), pl.Series([day, day])]
    data = load_dataset(parts(tmp_path, "time", columns))
    assert data.reading["time"] == "dates"
    assert data.test_items.tolist() == [1]  # of 2017-07-14 02:40:01
    columns[0] = pl.Series([5, 6])
    with pytest.raises(InputError, match="others numbers of an unknown unit"):
        load_dataset(parts(tmp_path, "time", columns))


def test_a_zero_is_no_time_and_hides_no_unit(tmp_path):
    rows = "1,a,buy,1500000000\n1,b,buy,1400000000000\n1,c,buy,0\n"
    path = written(tmp_path, {"log.csv": f"user,item,behavior,time\n{rows}"}) / "log.csv"
    data = load_dataset(path)
    assert data.reading["time"] == "milliseconds"
    assert data.test_items.tolist() == [0]


def test_times_and_behaviors_in_odd_columns_are_questions_too():
    frame = {"user": [1, 1], "item": [1, 2], "behavior": ["buy"] * 2, "when": [1.5e9, 1.4e9]}
    with pytest.raises(InputError, match="'when'"):
        Dataset.from_frame(frame)
    frame = {"user": [1, 1, 2], "item": [1, 2, 3], "act": [1, 4, 1]}
    with pytest.raises(InputError, match=r"'act' \(1, 4\) may be it"):
        Dataset.from_frame(frame)
    lists = {"user": [1, 1], "item": [1, 2], "behavior": ["buy"] * 2, "tags": [[1], [2]]}
    assert Dataset.from_frame(lists, **NONE).counts() == {"buy": 2}
    with pytest.raises(InputError, match="column 'user' holds"):
        Dataset.from_frame({**lists, "user": [[1], [2]]}, **NONE)


def test_a_separator_inside_quotes_hides_no_missing_cell(tmp_path):
    text = 'cat,user,item,title,behavior\nc,u1,i1,t,buy\nu1,i3,"x, y",buy\n'
    path = written(tmp_path, {"log.csv": text}) / "log.csv"
    with pytest.raises(InputError, match="line 3: found 4 fields, wanted 5"):
        load_dataset(path)


def test_a_quoted_cell_swallows_no_rows(tmp_path):
    text = 'user,item,title,behavior\nu1,i1,"a,buy\nu2,i2,foo,buy\nu3,i3,b,view,x\nu4,i4,b",view\n'
    path = written(tmp_path, {"log.csv": text + "u1,i9,z,buy\n"}) / "log.csv"
    with pytest.raises(InputError, match="line 4: found 5 fields, wanted 4"):
        load_dataset(path)


def test_quotes_around_whole_cells_are_no_part_of_an_id(tmp_path):
    text = 'user,item,behavior\n"u1",a,buy\nu1,b",buy\nu1,"c",view\nu1,"big" pipe,buy\n'
    data = load_dataset(written(tmp_path, {"log.csv": text}) / "log.csv", **NONE)
    assert users(data) == ["u1"]
    assert data.item_ids.tolist() == ['"big" pipe', "a", 'b"', "c"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"columns": "user,item,behavior,time,timestamp"}, "two for the time: time and timestamp"),
        ({"columns": "time=a,timestamp=b"}, "two for the time: a and b"),
        ({"ratings": "3=like,4=like"}, "names a behavior or a rating twice"),
        ({"ratings": "3=like", "rename_behaviors": "like=buy"}, "--rename-behaviors cannot be"),
        ({"leave_out": "all", "split": "none"}, "--leave-out all cannot be used with --split none"),
        ({"since": "2018"}, "--since cannot be '2018'"),
        ({"since": "nan"}, "--since cannot be 'nan'"),
        ({"split": "global-time=20180101"}, "--split global-time cannot be '20180101'"),
        ({"split": "global-time=1.0"}, "--split global-time cannot be '1.0'"),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path, options, sentence):
    rows = "".join(f"1,{i},buy,{1_500_000_000 + i},{i}\n" for i in range(5))
    text = f"user,item,behavior,time,rating\n{rows}"
    path = written(tmp_path, {"log.csv": text}) / "log.csv"
    with pytest.raises(InputError) as error:
        load_dataset(path, **options)
    assert sentence in str(error.value)


def test_options_of_tables_are_for_tables(tmp_path):
    native = save_native(load_dataset("demo"), tmp_path / "native")
    for place in ("demo", native):
        with pytest.raises(
            InputError, match=r"comes split already: k_core, split cannot|split, k_"
        ):
            load_dataset(place, split="none", k_core=5)
    assert load_dataset("demo", seed=3).n_users == 1200


def test_ratings_that_are_not_asked_for_are_not_said(tmp_path):
    text = "user,item,rating\n1,1,5\n1,2,1\n"
    data = load_dataset(written(tmp_path, {"log.csv": text}) / "log.csv", **NONE)
    assert "rating" not in data.reading["roles"]
    assert "rating" not in data.reading["guessed"]


def test_a_users_past_is_that_of_the_chosen_behaviors(tmp_path):
    rows = "1,a,view,1\n1,b,buy,5\n2,a,buy,1\n2,b,buy,6\n"
    path = written(tmp_path, {"log.csv": f"user,item,behavior,time\n{rows}"}) / "log.csv"
    assert len(load_dataset(path, split="global-time=4").test_users) == 2
    data = load_dataset(path, split="global-time=4", behaviors="buy")
    assert [users(data)[user] for user in data.test_users] == ["2"]


@pytest.mark.parametrize(
    "options",
    [
        {"columns": {"user": "user, id"}},
        {"rename_behaviors": {"x,y": "buy"}},
        {"columns": ["user", "k=v", "item", "behavior"]},
        {"since": datetime.date(2016, 1, 1)},
    ],
)
def test_a_source_loads_again_whatever_the_names(tmp_path, options):
    header = '"user, id",k=v,item,behavior,time\n'
    rows = "".join(f'1,0,{i},"x,y",{1_500_000_000 + i}\n' for i in range(4))
    if isinstance(options.get("columns"), list):
        header, rows = "", "".join(f"1,0,{i},buy\n" for i in range(4))
    elif "columns" not in options:
        options = {**options, "columns": {"user": "user, id"}}
    path = written(tmp_path, {"log.csv": header + rows}) / "log.csv"
    data = load_dataset(path, **options)
    assert load_dataset(**data.source).fingerprint() == data.fingerprint()
    assert load_dataset(save_native(data, tmp_path / "n")).fingerprint() == data.fingerprint()


def test_separators_beyond_ascii(tmp_path):
    path = written(tmp_path, {"log.txt": SHOP.replace(",", "¦")}) / "log.txt"
    assert users(load_dataset(path, separator="¦", **NONE)) == ["u1", "u2"]


def test_hashes_of_the_whole_range():
    ids = [-(2**63) + 1, 2**63 - 2, 3]
    assert users(Dataset.from_events(ids, [1, 2, 3], "buy", **NONE)) == [
        str(i) for i in sorted(ids)
    ]


def test_a_log_that_is_sorted_by_behavior_is_a_question(tmp_path):
    rows = "".join(f"{n},{n % 7},view\n" for n in range(10_500)) + "1,1,buy\n"
    path = written(tmp_path, {"log.csv": f"user,item,kind\n{rows}"}) / "log.csv"
    with pytest.raises(InputError, match=r"'kind' \(buy, view\) may be it"):
        load_dataset(path)


def test_renamed_behaviors_meet_whatever_their_case(tmp_path):
    text = "user,item,behavior\n1,1,View\n1,2,pageshow\n1,3,buy\n"
    path = written(tmp_path, {"log.csv": text}) / "log.csv"
    data = load_dataset(path, rename_behaviors="pageshow=view", **NONE)
    assert data.counts() == {"view": 2, "buy": 1}
    with pytest.raises(InputError, match="names a behavior twice, but for case"):
        load_dataset(path, rename_behaviors="View=a,VIEW=b")


def test_quotes_that_r_writes_in_a_tsv(tmp_path):
    text = '"user"\t"item"\t"behavior"\n"u1"\t"a"\t"view"\n"u1"\t"b"\t"buy"\n'
    data = load_dataset(written(tmp_path, {"log.tsv": text}) / "log.tsv", **NONE)
    assert users(data) == ["u1"]
    assert data.counts() == {"view": 1, "buy": 1}


def test_files_that_were_read_as_one_table_are_named(tmp_path):
    data = load_dataset(written(tmp_path, {f"log-{n}.csv": SHOP for n in range(7)}), **NONE)
    assert data.notes[0] == (
        "7 files were read as one table: log-0.csv, log-1.csv, log-2.csv, log-3.csv, …, log-6.csv."
    )


def test_a_format_that_fits_no_time(tmp_path):
    rows = "1,1,buy,01.02.2020\n1,2,buy,03.02.2020\n"
    path = written(tmp_path, {"log.csv": f"user,item,behavior,time\n{rows}"}) / "log.csv"
    with pytest.raises(InputError, match="--time-format '%Q' fits no time of the column 'time'"):
        load_dataset(path, time_format="%Q")
    assert load_dataset(path, time_format="%d.%m.%Y").test_items.tolist() == [1]
    with pytest.raises(InputError, match="is no text table, so --separator cannot be used"):
        load_dataset(written(tmp_path, {"log.jsonl": "{}"}) / "log.jsonl", separator=";")
