# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of people for sample data, each with its counterpart in the other script and a Latin sort key."""

from __future__ import annotations

import random
import unicodedata
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PersonName:
    """A name as its bearer writes it, and how others find it."""

    name: str
    other_name: str
    sort_key: str
    login: str
    """A wish: the first bearer gets it, the next ones get a number behind it."""
    is_chinese: bool


# Characters with their pinyin; the ten commonest surnames stand twice, as in life they fill the list.
_SURNAMES = """
王 wang 李 li 张 zhang 刘 liu 陈 chen 杨 yang 黄 huang 赵 zhao 吴 wu 周 zhou 王 wang 李 li 张 zhang 刘 liu
陈 chen 杨 yang 黄 huang 赵 zhao 吴 wu 周 zhou 徐 xu 孙 sun 马 ma 朱 zhu 胡 hu 郭 guo 何 he 高 gao 林 lin
罗 luo 郑 zheng 梁 liang 谢 xie 宋 song 唐 tang 许 xu 韩 han 冯 feng 邓 deng 曹 cao 彭 peng 曾 zeng 肖 xiao
田 tian 董 dong 潘 pan 袁 yuan 蔡 cai 蒋 jiang 余 yu 于 yu 杜 du 叶 ye 程 cheng 魏 wei 苏 su 吕 lv 丁 ding
任 ren 沈 shen 姚 yao 卢 lu 姜 jiang 崔 cui 钟 zhong 谭 tan 陆 lu 欧阳 ouyang 司马 sima 诸葛 zhuge
"""

_GIVEN = """
伟 wei 芳 fang 娜 na 敏 min 静 jing 丽 li 强 qiang 磊 lei 军 jun 洋 yang 勇 yong 艳 yan 杰 jie 娟 juan 涛 tao
明 ming 超 chao 秀 xiu 霞 xia 平 ping 刚 gang 桂 gui 英 ying 华 hua 玉 yu 兰 lan 志 zhi 建 jian 国 guo 文 wen
雪 xue 婷 ting 宇 yu 浩 hao 子 zi 轩 xuan 梓 zi 涵 han 欣 xin 怡 yi 晨 chen 思 si 佳 jia 俊 jun 博 bo 嘉 jia
颖 ying 琳 lin 鑫 xin 凯 kai 峰 feng 龙 long 飞 fei 红 hong 梅 mei 春 chun 秋 qiu 云 yun 海 hai 天 tian
"""

_FIRST = """
Alice Amir Anna Ben Carla Chloé Daniel Elena Emma Erik Fatima Felix Grace Hannah Henry Ingrid Ivan Jack
James Jana Jonas Julia Karim Laura Leo Lucy Lukas Maria Mark Mateo Mia Nadia Noah Olga Oliver Omar Paul
Peter Priya Rachel Ravi Rosa Samuel Sara Sofia Søren Thomas Tom Victor Zoë
"""

_LAST = """
Adams Andersson Bauer Becker Brown Clark Costa Davies Dubois Eriksen Evans Fischer Garcia Green Haddad Hansen
Hughes Ivanova Jansen Johnson Keller Khan Kowalski Larsen Lopez Martin Meyer Moreau Müller Nguyen Novak O'Brien
Olsen Patel Petrov Quinn Richter Rossi Santos Schmidt Sharma Silva Smith Taylor Vogel Walker Weber Wilson Young
"""

# What lists, columns and avatars have to cope with: long, with marks inside, of one word, right to left.
_UNUSUAL = [
    PersonName("阿依古丽·麦麦提依明", "Aygul Memetimin", "ayiguli maimaitiyiming", "ayiguli", True),
    PersonName(
        "Maria-Magdalena Schwarzenberger-Lindqvist",
        "玛丽亚",
        "schwarzenberger-lindqvist maria-magdalena",
        "maria-magdalena.schwarzenberger-lindqvist",
        False,
    ),
    PersonName(
        "Nguyễn Thị Phương Thảo", "阮氏芳草", "nguyen thi phuong thao", "thao.nguyen", False
    ),
    PersonName("欧阳上官婉清", "Wanqing Ouyang", "ouyang shangguan wanqing", "ouyangwanqing", True),
    PersonName("Suryaningrat", "苏里亚", "suryaningrat", "suryaningrat", False),
    PersonName(
        "محمد عبد الرحمن", "Mohammed Abdulrahman", "abdulrahman mohammed", "m.abdulrahman", False
    ),
    PersonName(
        "José Ignacio de la Fuente y Gutiérrez de Cabiedes",
        "何塞",
        "de la fuente jose ignacio",
        "jose.delafuente",
        False,
    ),
    PersonName("𠮷田 直樹", "Naoki Yoshida", "yoshida naoki", "naoki.yoshida", False),
    PersonName("扎西次仁", "Tashi Tsering", "zhaxi ciren", "zhaxiciren", True),
]

CHINESE_SHARE = 0.7
UNUSUAL_SHARE = 0.03


def _pairs(table: str) -> list[tuple[str, str]]:
    words = table.split()
    return list(zip(words[::2], words[1::2], strict=True))


def in_ascii(text: str) -> str:
    """Fold Latin letters to a-z; drop what is neither a letter nor a digit, dot or hyphen."""
    plain = unicodedata.normalize("NFKD", text.casefold().replace("ø", "o"))
    return "".join(
        letter for letter in plain if letter.isascii() and (letter.isalnum() or letter in ".-")
    )


class Names:
    """An endless, repeatable source of names."""

    def __init__(self, source: random.Random) -> None:
        self._random = source
        self._surnames = _pairs(_SURNAMES)
        self._given = _pairs(_GIVEN)
        self._first = _FIRST.split()
        self._last = _LAST.split()
        self._unusual = 0

    def next(self) -> PersonName:
        """The next name; namesakes happen, as they do in companies."""
        dice = self._random.random()
        if dice < UNUSUAL_SHARE:
            return self._next_unusual()
        return self._chinese() if dice < UNUSUAL_SHARE + CHINESE_SHARE else self._western()

    def _next_unusual(self) -> PersonName:
        name = _UNUSUAL[self._unusual % len(_UNUSUAL)]
        self._unusual += 1
        return name

    def _chinese(self) -> PersonName:
        surname, surname_pinyin = self._random.choice(self._surnames)
        given, given_pinyin = self._random.choice(self._given)
        if self._random.random() < 0.75:
            second, second_pinyin = self._random.choice(self._given)
            given, given_pinyin = given + second, given_pinyin + second_pinyin
        return PersonName(
            name=surname + given,
            other_name=f"{given_pinyin.title()} {surname_pinyin.title()}",
            sort_key=f"{surname_pinyin} {given_pinyin}",
            login=surname_pinyin + given_pinyin,
            is_chinese=True,
        )

    def _western(self) -> PersonName:
        first, last = self._random.choice(self._first), self._random.choice(self._last)
        return PersonName(
            name=f"{first} {last}",
            other_name="",
            sort_key=f"{in_ascii(last)} {in_ascii(first)}",
            login=f"{in_ascii(first)}.{in_ascii(last)}",
            is_chinese=False,
        )
