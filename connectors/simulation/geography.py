"""Provinces before and after July 2025 (Decision 19/2025/QD-TTg), and invented communes.

Personal numbers keep the province code of the time when a birth was registered; addresses have the
present ones. Communes have codes from 90001, which no commune bears.
"""

from dataclasses import dataclass

# The code and name of each province, and the codes that became part of it, with how many ten
# thousand people lived under each, roughly.
PROVINCES: dict[str, tuple[str, dict[str, int]]] = {
    "01": ("Hà Nội", {"01": 850}),
    "04": ("Cao Bằng", {"04": 54}),
    "08": ("Tuyên Quang", {"08": 81, "02": 90}),
    "11": ("Điện Biên", {"11": 65}),
    "12": ("Lai Châu", {"12": 49}),
    "14": ("Sơn La", {"14": 131}),
    "15": ("Lào Cai", {"15": 86, "10": 78}),
    "19": ("Thái Nguyên", {"19": 134, "06": 33}),
    "20": ("Lạng Sơn", {"20": 81}),
    "22": ("Quảng Ninh", {"22": 138}),
    "24": ("Bắc Ninh", {"24": 192, "27": 152}),
    "25": ("Phú Thọ", {"25": 153, "26": 121, "17": 88}),
    "31": ("Hải Phòng", {"31": 211, "30": 197}),
    "33": ("Hưng Yên", {"33": 130, "34": 188}),
    "37": ("Ninh Bình", {"37": 101, "35": 88, "36": 188}),
    "38": ("Thanh Hóa", {"38": 374}),
    "40": ("Nghệ An", {"40": 344}),
    "42": ("Hà Tĩnh", {"42": 132}),
    "44": ("Quảng Trị", {"44": 92, "45": 65}),
    "46": ("Huế", {"46": 116}),
    "48": ("Đà Nẵng", {"48": 124, "49": 152}),
    "51": ("Quảng Ngãi", {"51": 125, "62": 59}),
    "52": ("Gia Lai", {"52": 150, "64": 161}),
    "56": ("Khánh Hòa", {"56": 126, "58": 60}),
    "66": ("Đắk Lắk", {"66": 193, "54": 88}),
    "68": ("Lâm Đồng", {"68": 135, "60": 126, "67": 68}),
    "75": ("Đồng Nai", {"75": 331, "70": 105}),
    "79": ("Thành phố Hồ Chí Minh", {"79": 946, "74": 282, "77": 118}),
    "80": ("Tây Ninh", {"80": 174, "72": 119}),
    "82": ("Đồng Tháp", {"82": 179, "87": 160}),
    "86": ("Vĩnh Long", {"86": 103, "83": 130, "84": 102}),
    "91": ("An Giang", {"91": 175, "89": 191}),
    "92": ("Cần Thơ", {"92": 126, "93": 73, "94": 120}),
    "96": ("Cà Mau", {"96": 121, "95": 92}),
}
"""The 34 provinces."""

PRESENT_CODE = {old: new for new, (_, parts) in PROVINCES.items() for old in parts}
"""The present province of each of the 63 codes of before July 2025."""

_COMMUNES_A_PROVINCE = 98
_FIRST_CODE = 90001
_FIRST = ("Tân", "An", "Phú", "Bình", "Long", "Hòa", "Đông", "Thanh", "Vĩnh", "Xuân")
_SECOND = ("Sen", "Lộc", "Thịnh", "Hưng", "Mỹ", "Khê", "Giang", "Sơn", "Điền", "Lạc")
_STREETS = ("Hoa Sen", "Lá Sen", "Đầm Sen", "Hồ Sen", "Bến Sen", "Gương Sen", "Ngó Sen", "Tâm Sen")


@dataclass(frozen=True)
class Commune:
    """A ward or commune."""

    code: str
    name: str
    province: str


def _communes() -> dict[str, Commune]:
    made, code = {}, _FIRST_CODE
    for province in PROVINCES:
        for index in range(_COMMUNES_A_PROVINCE):
            kind = "Phường" if index % 4 == 0 else "Xã"
            name = f"{kind} {_FIRST[index // 10]} {_SECOND[index % 10]}"
            made[f"{code}"] = Commune(f"{code}", name, province)
            code += 1
    return made


COMMUNES = _communes()
"""The communes by code: 98 in each province, 3,332 in all; about as many as there are."""

COMMUNES_OF = {
    province: tuple(c.code for c in COMMUNES.values() if c.province == province)
    for province in PROVINCES
}


def street(index: int) -> str:
    """Return one of the street names."""
    return _STREETS[index % len(_STREETS)]


def residence(province: str, commune: str, line: str) -> dict[str, str]:
    """Return an address as the registers write it."""
    return {
        "line": line,
        "commune": COMMUNES[commune].name,
        "commune_code": commune,
        "province": PROVINCES[province][0],
        "province_code": province,
    }
