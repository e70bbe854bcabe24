"""What a relying party says to people, in Vietnamese and English, and claims in plain words."""

from datetime import date, datetime, timedelta, timezone
from typing import Any, NamedTuple

from babel.core import Locale, get_global

LANGUAGES = ("vi", "en")
VIETNAM = timezone(timedelta(hours=7))
TIMES = {"auth_time", "exp", "iat", "nbf", "updated_at"}
DATES = {"birthdate", "expiry"}
COUNTRIES = {"country", "nationalities"}

TEXTS: dict[str, dict[str, Any]] = {
    "vi": {
        "this_language": "Tiếng Việt",
        "skip": "Chuyển đến nội dung chính",
        "language": "Ngôn ngữ",
        "demo": "Trang trình diễn, không phải dịch vụ thật",
        "sign_in": "Đăng nhập bằng Sen ID",
        "sign_in_what": "Bạn sẽ được chuyển đến Sen ID để đăng nhập và tự quyết định "
        "chia sẻ thông tin nào.",
        "hello": "Xin chào, {name}",
        "hello_nameless": "Bạn đã đăng nhập",
        "acting_for": "Đang thực hiện thay mặt cho",
        "received": "Thông tin đã nhận",
        "received_what": "Đây là toàn bộ thông tin về bạn mà Sen ID đã gửi cho chúng tôi.",
        "column_what": "Thông tin",
        "column_value": "Nội dung",
        "column_claim": "Tên kỹ thuật",
        "tables": {
            "id_token": "Xác nhận đăng nhập (ID token)",
            "userinfo": "Dữ liệu bạn cho phép đọc (userinfo)",
        },
        "read_again": "Đọc lại dữ liệu của tôi",
        "stronger": {
            "3": "Chuyển tiền lớn: xác nhận bằng khuôn mặt (mức độ 3)",
            "4": "Mở khoản vay: khuôn mặt, thẻ căn cước và mật khẩu (mức độ 4)",
        },
        "sign_out": "Đăng xuất",
        "yes": "có",
        "no": "không",
        "services": "Dịch vụ",
        "time_format": "%H:%M:%S ngày %d/%m/%Y",
        "date_format": "%d/%m/%Y",
        "notices": {
            "declined": "Bạn đã chọn không chia sẻ thông tin. Chưa có dữ liệu nào được gửi đi.",
            "ended": "Bạn đã được đăng xuất: quyền đọc dữ liệu đã được rút lại hoặc hết hạn, "
            "hoặc bạn đã đăng xuất tại Sen ID. Chúng tôi không còn đọc được dữ liệu của bạn.",
            "read-again": "Đã đọc lại dữ liệu từ Sen ID.",
            "signed-out": "Bạn đã đăng xuất.",
            "unmet": "Chưa đạt được mức độ xác thực này. Hãy tạo khóa truy cập trên các trang của bạn "
            "tại Sen ID (mức độ 4 cần thêm mật khẩu), rồi thử lại.",
            "refused": "Chưa đăng nhập được. Vui lòng thử lại từ đầu.",
            "unreachable": "Hiện chưa kết nối được với Sen ID. Vui lòng thử lại sau ít phút.",
            "no-page": "Không tìm thấy trang này hoặc biểu mẫu đã hết hạn.",
        },
        "acr": {
            "urn:vn:eid:aal:1": "Mức độ 1: mật khẩu",
            "urn:vn:eid:aal:2": "Mức độ 2: khóa truy cập (passkey)",
            "urn:vn:eid:aal:3": "Mức độ 3: hai yếu tố, trong đó có sinh trắc học",
            "urn:vn:eid:aal:4": "Mức độ 4: thẻ căn cước, sinh trắc học và mã bí mật",
            "phr": "Chống lừa đảo: khóa truy cập (passkey)",
            "phrh": "Chống lừa đảo: khóa bảo mật phần cứng",
        },
        "amr": {
            "pwd": "mật khẩu",
            "otp": "mã kích hoạt",
            "pop": "khóa trong thiết bị",
            "user": "xác nhận trên thiết bị",
            "mfa": "nhiều yếu tố",
            "hwk": "khóa phần cứng",
            "swk": "khóa trong ứng dụng",
            "fpt": "vân tay",
            "face": "khuôn mặt",
            "sc": "chip thẻ căn cước",
        },
        "values": {
            "citizen": "công dân",
            "foreigner": "người nước ngoài",
            "organisation": "tổ chức",
            "organization": "tổ chức",
            "male": "nam",
            "female": "nữ",
            "legal_rep": "người đại diện theo pháp luật",
            "org_head": "người đứng đầu cơ quan, tổ chức",
            "org_admin": "người quản trị của tổ chức",
            "org_member": "người được tổ chức giao việc",
            "parent": "cha, mẹ",
            "guardian": "người giám hộ",
            "proxy": "người được ủy quyền",
            "*": "tất cả dịch vụ",
            "public-service": "dịch vụ công",
            "banking": "ngân hàng",
            "healthcare": "khám bệnh, chữa bệnh",
            "urn:vn:eid:tax-code": "mã số thuế",
            "urn:vn:eid:pairwise": "mã riêng cho dịch vụ này",
        },
        # Within another claim these words mean something else.
        "parts": {
            "name": "Tên",
            "sub": "Mã định danh",
            "constraints": "Giới hạn",
            "amount_limit": "Hạn mức",
            "value": "Số tiền",
            "currency": "Loại tiền",
            "joint": "Cùng đại diện",
        },
        "claims": {
            "acr": "Mức độ xác thực",
            "address": "Địa chỉ",
            "amr": "Phương thức xác thực",
            "at_hash": "Mã kiểm tra của mã truy cập",
            "aud": "Nơi nhận",
            "auth_time": "Đăng nhập lúc",
            "azp": "Cấp cho",
            "birthdate": "Ngày sinh",
            "country": "Quốc gia",
            "email": "Thư điện tử",
            "email_verified": "Thư điện tử đã xác minh",
            "exp": "Hết hiệu lực lúc",
            "expiry": "Ngày hết hạn",
            "family_name": "Họ",
            "formatted": "Địa chỉ đầy đủ",
            "gender": "Giới tính",
            "given_name": "Tên",
            "iat": "Cấp lúc",
            "iss": "Nơi cấp",
            "locality": "Phường/xã",
            "middle_name": "Tên đệm",
            "mandate_id": "Mã ủy quyền",
            "mandate_type": "Tư cách",
            "name": "Họ và tên",
            "nationalities": "Quốc tịch",
            "nonce": "Mã của lần đăng nhập này",
            "number": "Số",
            "organization_name": "Tên tổ chức",
            "passport": "Hộ chiếu",
            "phone_number": "Số điện thoại",
            "phone_number_verified": "Số điện thoại đã xác minh",
            "region": "Tỉnh/thành phố",
            "represents": "Thay mặt cho",
            "residence_card": "Thẻ cư trú",
            "scopes": "Phạm vi",
            "sid": "Phiên đăng nhập",
            "street_address": "Số nhà, đường",
            "sub": "Mã của bạn tại đây",
            "sub_id_type": "Loại mã",
            "tax_code": "Mã số thuế",
            "updated_at": "Cập nhật lần cuối",
            "vn_account_kind": "Loại tài khoản",
            "vn_account_level": "Mức độ tài khoản",
            "vn_pid": "Số định danh cá nhân",
        },
    },
    "en": {
        "this_language": "English",
        "skip": "Skip to main content",
        "language": "Language",
        "demo": "A demonstration, not a real service",
        "sign_in": "Sign in with Sen ID",
        "sign_in_what": "You will go to Sen ID to sign in, and decide there what to share.",
        "hello": "Hello, {name}",
        "hello_nameless": "You are signed in",
        "acting_for": "Acting for",
        "received": "What we received",
        "received_what": "This is everything that Sen ID has sent us about you.",
        "column_what": "What",
        "column_value": "Value",
        "column_claim": "Technical name",
        "tables": {
            "id_token": "Proof of sign-in (ID token)",
            "userinfo": "Data you allowed (userinfo)",
        },
        "read_again": "Read my data again",
        "stronger": {
            "3": "Large transfer: confirm with your face (level 3)",
            "4": "Take out a loan: face, identity card and password (level 4)",
        },
        "sign_out": "Sign out",
        "yes": "yes",
        "no": "no",
        "services": "Services",
        "time_format": "%-d %B %Y, %H:%M:%S",
        "date_format": "%-d %B %Y",
        "notices": {
            "declined": "You chose not to share; nothing was sent.",
            "ended": "You have been signed out: access to your data was withdrawn or has expired, or "
            "you signed out at Sen ID. We can no longer read your data.",
            "read-again": "Your data was read again from Sen ID.",
            "signed-out": "You are signed out.",
            "unmet": "This authentication level cannot be reached yet. Make a passkey on your pages at "
            "Sen ID (level 4 needs a password as well), then try again.",
            "refused": "The sign-in did not work. Please try again from the beginning.",
            "unreachable": "Sen ID cannot be reached right now. Please try again in a few minutes.",
            "no-page": "There is no such page, or the form is too old.",
        },
        "acr": {
            "urn:vn:eid:aal:1": "Level 1: password",
            "urn:vn:eid:aal:2": "Level 2: passkey",
            "urn:vn:eid:aal:3": "Level 3: two factors, one of them biometric",
            "urn:vn:eid:aal:4": "Level 4: identity card, biometric and passcode",
            "phr": "Phishing-resistant: passkey",
            "phrh": "Phishing-resistant: hardware security key",
        },
        "amr": {
            "pwd": "password",
            "otp": "activation code",
            "pop": "key held by the device",
            "user": "confirmed on the device",
            "mfa": "several factors",
            "hwk": "key in hardware",
            "swk": "key in the app",
            "fpt": "fingerprint",
            "face": "face",
            "sc": "chip of the identity card",
        },
        "values": {
            "citizen": "citizen",
            "foreigner": "foreigner",
            "organisation": "organisation",
            "organization": "organisation",
            "male": "male",
            "female": "female",
            "legal_rep": "legal representative",
            "org_head": "head of the organisation",
            "org_admin": "administrator of the organisation",
            "org_member": "member of the organisation",
            "parent": "parent",
            "guardian": "guardian",
            "proxy": "proxy",
            "*": "all services",
            "public-service": "public services",
            "banking": "banking",
            "healthcare": "medical care",
            "urn:vn:eid:tax-code": "tax code",
            "urn:vn:eid:pairwise": "identifier for this service only",
        },
        "parts": {
            "name": "Name",
            "sub": "Identifier",
            "constraints": "Limits",
            "amount_limit": "Amount",
            "value": "Value",
            "currency": "Currency",
            "joint": "Only jointly",
        },
        "claims": {
            "acr": "Authentication level",
            "address": "Address",
            "amr": "Authentication methods",
            "at_hash": "Check value of the access token",
            "aud": "Meant for",
            "auth_time": "Signed in at",
            "azp": "Issued to",
            "birthdate": "Date of birth",
            "country": "Country",
            "email": "E-mail address",
            "email_verified": "E-mail address is verified",
            "exp": "Valid until",
            "expiry": "Expires on",
            "family_name": "Family name",
            "formatted": "Full address",
            "gender": "Sex",
            "given_name": "Given name",
            "iat": "Issued at",
            "iss": "Issued by",
            "locality": "Ward or commune",
            "middle_name": "Middle name",
            "mandate_id": "Mandate",
            "mandate_type": "Capacity",
            "name": "Full name",
            "nationalities": "Nationality",
            "nonce": "Number of this sign-in",
            "number": "Number",
            "organization_name": "Name of the organisation",
            "passport": "Passport",
            "phone_number": "Phone number",
            "phone_number_verified": "Phone number is verified",
            "region": "Province or city",
            "represents": "Acting for",
            "residence_card": "Residence card",
            "scopes": "Scope",
            "sid": "Sign-in session",
            "street_address": "Street address",
            "sub": "Your identifier here",
            "sub_id_type": "Kind of identifier",
            "tax_code": "Tax code",
            "updated_at": "Last updated",
            "vn_account_kind": "Kind of account",
            "vn_account_level": "Account level",
            "vn_pid": "Personal identification number",
        },
    },
}


class Row(NamedTuple):
    """One claim for people: its plain name, its value line by line, its technical name."""

    label: str
    lines: list[str]
    claim: str


def rows(claims: dict[str, Any], language: str) -> list[Row]:
    """Return the claims as rows in the order they came."""
    return [
        Row(_label(claim, language), _lines(claim, value, language), claim)
        for claim, value in claims.items()
    ]


def _label(claim: str, language: str) -> str:
    return str(TEXTS[language]["claims"].get(claim, claim))


def _lines(claim: str, value: object, language: str) -> list[str]:
    match value:
        case dict():
            parts = TEXTS[language]["parts"]
            return [
                f"{parts.get(part) or _label(part, language)}: "
                + ", ".join(_lines(part, inner, language))
                for part, inner in value.items()
            ]
        case list():
            return [line for inner in value for line in _lines(claim, inner, language)]
        case _:
            return [_words(claim, value, language)]


def _words(claim: str, value: object, language: str) -> str:
    texts = TEXTS[language]
    if isinstance(value, bool):
        return str(texts["yes"] if value else texts["no"])
    if claim in TIMES and isinstance(value, int | float):
        return datetime.fromtimestamp(value, VIETNAM).strftime(texts["time_format"])
    if claim in DATES and isinstance(value, str):
        return _date(value, texts["date_format"])
    if claim in COUNTRIES and isinstance(value, str):
        return _country(value, language)
    words = texts[claim] if claim in {"acr", "amr"} else texts["values"]
    return str(words.get(str(value), value))


def _country(code: str, language: str) -> str:
    """Return the country's name for its ISO 3166 code of two or three letters, or the code."""
    aliases = get_global("territory_aliases").get(code, [code])
    return str(Locale(language).territories.get(aliases[0], code))


def _date(text: str, form: str) -> str:
    """Return the day as people write it, or the text as it came: it may be a year only."""
    try:
        return date.fromisoformat(text).strftime(form)
    except ValueError:
        return text
