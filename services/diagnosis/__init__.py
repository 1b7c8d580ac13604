"""
Tells the blocks apart before anything is touched: which one it is, who can lift it, when it ends.

`ndr` reads what people paste, `codes` says what its code means, `diagnosis` reads the tenant, `causes` judges.
"""

from services.diagnosis.diagnosis import Diagnoses
from services.diagnosis.ndr import Ndr, parse_ndr, split_report

__all__ = ["Diagnoses", "Ndr", "parse_ndr", "split_report"]
