"""The data-protection authority's inspectors: figures, cases by their number, and the daily export."""
