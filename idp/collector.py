"""How seldom Python looks for garbage that refers to itself, in a process that serves."""

import gc


def collect_seldom() -> None:
    """Never again look through what is loaded now, which stays for good, and rarely through the rest:
    requests leave no cycles behind, and the sequencer holds thousands of entries at a time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
