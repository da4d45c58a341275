"""Quantities as people read them: counts, sizes, time spans."""

from pydantic import ByteSize


def count_text(count: int, noun: str, plural: str = "") -> str:
    """A number of things.

    Args:
        count: How many.
        noun: What one of them is called.
        plural: What several are called, if not ``noun`` with an s.

    Example:
        >>> count_text(1, "trial"), count_text(1200, "entry", "entries")
        ('1 trial', '1,200 entries')
    """
    return f"{count:,} {noun if count == 1 else plural or f'{noun}s'}"


def bytes_text(size: int) -> str:
    """A size of data on a disk, in the largest decimal unit that suits it.

    Example:
        >>> bytes_text(1_500_000_000)
        '1.5 GB'
    """
    return ByteSize(size).human_readable(decimal=True, separator=" ")


def gibibytes(count: float) -> str:
    """Bytes of memory, which is counted in powers of two: ``1.5 GiB``."""
    return f"{count / 2**30:.1f} GiB"


def duration(seconds: float) -> str:
    """A time span in its two largest units.

    Example:
        >>> duration(312.4)
        '5 min 12 s'
    """
    whole = round(seconds)
    for unit, size, lower, lower_size in (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if whole >= size:
            return f"{whole // size} {unit} {whole % size // lower_size} {lower}"
    return f"{whole} s"
