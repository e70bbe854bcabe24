"""Write docs/attributes.md from the attribute dictionary; a test compares the two."""

from pathlib import Path

from accounts.attributes import CATALOGUE, SCOPES, Attribute

FILE = Path(__file__).parents[1] / "docs" / "attributes.md"
_HEAD = """# The attribute dictionary

Made by `make attributes` from `accounts/dictionary.py`; the same rows are on the provider's page
`/attributes`, in discovery's `claims_supported`, on the consent page and in the gate.

- **Class**: basic (B) or sensitive (S) personal data under Decree 356/2025/ND-CP. A sensitive claim is never
  part of a scope's bundle: each has its own tick, and the register is asked for it only when a consent covers it.
- **Needs**: least account level / least authentication level (Decree 69/2024/ND-CP Art. 7 and 20). What
  the sign-in did not prove is not released; userinfo says so in `vn_withheld`. How levels 3 and 4 are reached:
  [sign-in.md](sign-in.md).
- **By name**: comes only when the `claims` parameter names it; otherwise it comes with its scope.
- **Law**: only for purposes of bodies that Decree 70/2024/ND-CP Art. 9 lists.
- Of third persons nothing is held or released but name and relation.
- `age_over_*` are computed of the birth date and tell less than it: ask for them instead.

| scope | claim | shape | source | class | needs | asked | English | Tiếng Việt |
|---|---|---|---|---|---|---|---|---|
"""


def page() -> str:
    """Return the whole page."""
    order = [*SCOPES, ""]
    rows = sorted(CATALOGUE, key=lambda row: order.index(row.scope))
    return _HEAD + "".join(f"| {' | '.join(_cells(row))} |\n" for row in rows)


def _cells(row: Attribute) -> tuple[str, ...]:
    needs = f"{row.account_level.value} / {int(row.authentication_level)}"
    asked = "by name" if row.by_name else "with the scope"
    return (
        f"`{row.scope}`" if row.released else "never released",
        f"`{row.claim}`",
        row.shape.value,
        f"computed of `{row.derived_from}`" if row.derived_from else ", ".join(row.sources),
        "S" if row.sensitive else "B",
        needs if row.released else "",
        "" if not row.released else f"{asked}, law" if row.law_listed else asked,
        row.label["en"],
        row.label["vi"],
    )


if __name__ == "__main__":
    FILE.write_text(page(), "utf-8")
