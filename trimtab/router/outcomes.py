"""The contract's outcomes, under the name that the router had them."""

from trimtab.outcomes import REWARDED, Outcome, checked, failed, outcome_name

__all__ = ["REWARDED", "Outcome", "checked", "failed", "outcome_name"]
