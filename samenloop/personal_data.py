"""Personal data stays outside the hub: what free text may not hold, and what fields may not be called.

rule: domain.md 7. E-mail addresses, telephone numbers and citizen service numbers (BSN) in free text withhold the
whole text; fields whose name says that they hold a person are dropped.
"""

from __future__ import annotations

import re
from functools import lru_cache

_HINT = re.compile("[@0-9]")
"""Without one of these no text can hold any of the following."""
_MAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_PHONE = re.compile(
    r"""(?<![\d.,/-])(?:
        (?:\+|00)(?:3[0-9]|4[0-9]|358|35[0-9]|61)[\s./-]?(?:\(0\)[\s./-]?)?\d(?:[\s./-]?\d){6,10}   # international
        | \(?0[1-9]\d{0,3}\)?[\s./-]\d{2,4}(?:[\s./-]?\d{2,4}){1,3}                               # area code apart
        | 06[\s-]?\d{8} | 04\d{8} | 0\d{9}                                                     # in one piece
    )(?![\d,])""",
    re.VERBOSE,
)
_NINE = re.compile(r"(?<![\d.,/-])\d{9}(?![\d.,/-])")
_DATE_LIKE = re.compile(r"\d{1,2}[./-]\d{1,2}[./-]\d{2,4}")
_PERSON = re.compile(
    r"(?<![a-z])(?:"
    r"e_?mail(?:_?adres)?|telefoon(?:_?nummer)?|telefon|phone|tel(?:nr)?|gsm|mobiel|bsn|burgerservicenummer|geboortedatum|"
    r"contact_?persoon|contact_?name|ansprechperson|ansprechpartner|responsable|verantwoordelijke|naam_?aanvrager|"
    r"behandelaar|projectleider|uitvoerder_?naam|toezichthouder|inspecteur|auteur|gebruiker|username|created_?user|"
    r"last_edited_user|editor|creator"
    r")(?![a-z])",
    re.IGNORECASE,
)


def is_personal(text: str) -> bool:
    """Say whether free text holds an e-mail address, a telephone number or a citizen service number."""
    if not _HINT.search(text):
        return False
    if _MAIL.search(text):
        return True
    bare = _DATE_LIKE.sub(" ", text)
    return _PHONE.search(bare) is not None or any(_is_bsn(found[0]) for found in _NINE.finditer(bare))


@lru_cache(maxsize=4096)
def names_a_person(field: str) -> bool:
    """Say whether a field's name says that it holds a person or a way to reach one."""
    return _PERSON.search(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", field).replace("-", "_")) is not None


def _is_bsn(digits: str) -> bool:
    """rule: the eleven test, with weight -1 for the last digit."""
    weights = (9, 8, 7, 6, 5, 4, 3, 2, -1)
    return digits != "0" * 9 and sum(w * int(d) for w, d in zip(weights, digits, strict=True)) % 11 == 0
