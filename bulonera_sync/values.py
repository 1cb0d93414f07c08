"""What a value is here: a frozen dataclass, as far as everybody who reads or checks it goes."""

from dataclasses import dataclass
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True)
def value(made: type[T]) -> type[T]:
    """Make a dataclass that nothing may assign to; the type checker sees to it, nobody at run time.

    A dozen are made for every sale, and a frozen dataclass takes three times as long to make as
    one that could be written to.
    """
    return dataclass(slots=True, unsafe_hash=True)(made)
