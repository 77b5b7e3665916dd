"""Models: the streams (`pkf`), the prediction heads (`heads`), and PKEF made of both (`pkef`)."""

from .pkef import Pkef

__all__ = ["Pkef"]
