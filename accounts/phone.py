"""Phone numbers in one spelling: E.164, as OpenID Connect Core §5.1 recommends."""

import phonenumbers

from accounts.errors import BadPhoneError

HOME = "VN"


def e164(text: str) -> str:
    """Return the number in E.164, like +84912345678; a Vietnamese one may be given as dialled at home.

    Whether a number is *in use* no library knows; what is judged is whether it can be one. An extension
    is left out, for E.164 has none.

    Raises:
        BadPhoneError: it cannot be a phone number.
    """
    try:
        number = phonenumbers.parse(text, HOME)
    except phonenumbers.NumberParseException as error:
        raise BadPhoneError from error
    if not phonenumbers.is_possible_number(number):
        raise BadPhoneError
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def is_phone(text: str) -> bool:
    """True when the text can be a phone number."""
    try:
        e164(text)
    except BadPhoneError:
        return False
    return True


def readable(number: str) -> str:
    """Return a stored number with the spaces that its country writes, or as it is."""
    try:
        parsed = phonenumbers.parse(number, None)
    except phonenumbers.NumberParseException:
        return number
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.INTERNATIONAL)
