"""The catalogue of purposes and legal bases: what an agency may say it needs data for, and by what
right. Texts come from here, never from a request.
"""

from dataclasses import dataclass
from datetime import timedelta

from consent.errors import UnknownPurposeError

Words = dict[str, str]
"""One text in every language, by language code."""


@dataclass(frozen=True)
class Purpose:
    """Why data is used. ``lasts`` is how long a consent given for it stands; ``law_listed`` purposes
    are those of bodies that may ask for personal numbers (Decree 70/2024/ND-CP Art. 9).
    """

    code: str
    version: int
    title: Words
    details: Words
    lasts: timedelta
    law_listed: bool = False


@dataclass(frozen=True)
class LegalBasis:
    """By what right data is used (Law 91/2025/QH15 Art. 9 and 19)."""

    code: str
    title: Words
    law: Words


_YEAR = timedelta(days=365)

_PURPOSES = (
    Purpose(
        "public-service",
        1,
        {"vi": "Giải quyết thủ tục hành chính", "en": "Handling your public-service request"},
        {
            "vi": "Cơ quan dùng dữ liệu để nhận biết bạn và điền sẵn hồ sơ; "
            "bạn không phải khai lại những thông tin Nhà nước đã có.",
            "en": "The agency uses the data to recognise you and to fill in your forms, so that you "
            "need not state again what the State already knows.",
        },
        _YEAR,
        law_listed=True,
    ),
    Purpose(
        "banking",
        1,
        {"vi": "Mở và sử dụng tài khoản ngân hàng", "en": "Opening and using a bank account"},
        {
            "vi": "Ngân hàng nhận biết khách hàng theo Luật Phòng, chống rửa tiền.",
            "en": "The bank identifies its customer as the anti-money-laundering law requires.",
        },
        _YEAR,
        law_listed=True,
    ),
    Purpose(
        "healthcare",
        1,
        {"vi": "Khám bệnh, chữa bệnh", "en": "Medical care"},
        {
            "vi": "Cơ sở y tế tra cứu đúng hồ sơ bệnh án và quyền lợi bảo hiểm y tế của bạn.",
            "en": "The hospital finds your own medical record and your insurance entitlement.",
        },
        _YEAR,
    ),
    Purpose(
        "account-issuing",
        1,
        {"vi": "Cấp tài khoản định danh điện tử", "en": "Issuing your Sen ID account"},
        {
            "vi": "Sen ID đối chiếu thông tin của bạn với cơ sở dữ liệu gốc khi cấp tài khoản "
            "và cập nhật để thông tin luôn đúng.",
            "en": "Sen ID compares your data with the authoritative register when it issues your "
            "account, and keeps it correct.",
        },
        _YEAR,
    ),
    Purpose(
        "account-care",
        1,
        {"vi": "Quản lý tài khoản định danh điện tử", "en": "Looking after your Sen ID account"},
        {
            "vi": "Cán bộ xem thông tin để khóa, mở khóa hoặc hỗ trợ tài khoản theo quy định.",
            "en": "An officer looks at the account to lock it, unlock it or help, as the law provides.",
        },
        _YEAR,
    ),
    Purpose(
        "account-identity-check",
        1,
        {"vi": "Xác minh đúng là bạn đang đăng nhập", "en": "Checking that it is you who signs in"},
        {
            "vi": "Khi bạn yêu cầu, ảnh chụp trực tiếp hoặc thẻ căn cước của bạn được đối chiếu với "
            "cơ sở dữ liệu căn cước; Sen ID chỉ nhận kết quả đúng hay không đúng.",
            "en": "At your wish your live picture or your identity card is compared with the "
            "identity-card database; Sen ID learns only whether it agrees.",
        },
        _YEAR,
    ),
    Purpose(
        "supervision",
        1,
        {"vi": "Giám sát việc bảo vệ dữ liệu cá nhân", "en": "Supervising data protection"},
        {
            "vi": "Cơ quan bảo vệ dữ liệu cá nhân kiểm tra việc giải quyết đề nghị của bạn.",
            "en": "The data-protection authority checks how what you asked is dealt with.",
        },
        _YEAR,
    ),
    Purpose(
        "own-question",
        1,
        {"vi": "Chuyển đề nghị của bạn", "en": "Passing on what you ask"},
        {
            "vi": "Sen ID chuyển câu hỏi, phản đối hoặc khiếu nại của bạn tới cơ quan có liên quan.",
            "en": "Sen ID passes your question, objection or complaint on to the agency concerned.",
        },
        _YEAR,
    ),
    Purpose(
        "sealed-read",
        1,
        {"vi": "Điều tra, xét xử", "en": "Investigation or court case"},
        {
            "vi": "Cơ quan có thẩm quyền đọc dữ liệu trong một vụ việc. Việc này được ghi ngay và báo cho "
            "người có liên quan vào ngày đã định.",
            "en": "An authority read data in a case. It was recorded at once and is told to the person on a "
            "day fixed then.",
        },
        _YEAR,
    ),
    Purpose(
        "opening-audit",
        1,
        {"vi": "Kiểm toán nhật ký sử dụng dữ liệu", "en": "Auditing the record of uses"},
        {
            "vi": "Kiểm toán viên độc lập rút thăm một số mục trong nhật ký và kiểm tra chúng ghi đúng "
            "người. Mục của bạn đã được rút thăm.",
            "en": "An independent auditor draws entries by lot and checks that each is of a person who "
            "exists. One of yours was drawn.",
        },
        _YEAR,
    ),
    Purpose(
        "own-copy",
        1,
        {"vi": "Cung cấp dữ liệu cho chính bạn", "en": "Giving you a copy of your own data"},
        {
            "vi": "Bạn tải về bản sao dữ liệu mà Sen ID lưu giữ về bạn.",
            "en": "You downloaded a copy of what Sen ID holds about you.",
        },
        _YEAR,
    ),
)

_BASES = (
    LegalBasis(
        "consent",
        {"vi": "Sự đồng ý của bạn", "en": "You agreed"},
        {"vi": "Luật 91/2025/QH15, Điều 9", "en": "Law 91/2025/QH15, Article 9"},
    ),
    LegalBasis(
        "statutory-function",
        {"vi": "Quy định của pháp luật", "en": "The law provides for it"},
        {
            "vi": "Luật 91/2025/QH15, Điều 19; Nghị định 69/2024/NĐ-CP",
            "en": "Law 91/2025/QH15, Article 19; Decree 69/2024/ND-CP",
        },
    ),
    LegalBasis(
        "mandate",
        {"vi": "Ủy quyền của tổ chức", "en": "The organisation's mandate"},
        {
            "vi": "Bộ luật Dân sự 2015, Điều 138 và 562",
            "en": "Civil Code 2015, Articles 138 and 562",
        },
    ),
    LegalBasis(
        "right-of-access",
        {
            "vi": "Quyền của bạn đối với dữ liệu cá nhân",
            "en": "Your right to your own data",
        },
        {"vi": "Luật 91/2025/QH15, Điều 4", "en": "Law 91/2025/QH15, Article 4"},
    ),
)

PURPOSES = {purpose.code: purpose for purpose in _PURPOSES}
LEGAL_BASES = {basis.code: basis for basis in _BASES}


def is_current(code: str, version: int) -> bool:
    """True when the purpose is in the catalogue and says what it said in this version."""
    known = PURPOSES.get(code)
    return known is not None and known.version == version


def purpose(code: str) -> Purpose:
    """Return the purpose.

    Raises:
        UnknownPurposeError: it is not in the catalogue.
    """
    try:
        return PURPOSES[code]
    except KeyError:
        raise UnknownPurposeError(code) from None
