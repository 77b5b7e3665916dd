"""Full ranking: rankers, ranks and figures, protocols, rules without learning."""
