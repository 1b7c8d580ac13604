"""Cities and addresses of the stories. Addresses are from the blocks that are reserved for documentation."""

from __future__ import annotations

from tests.labelled.world import Address, Place

STOCKHOLM = Place("Stockholm", "SE", 59.33, 18.07, 1)
GOTHENBURG = Place("Göteborg", "SE", 57.71, 11.97, 1)
MALMO = Place("Malmö", "SE", 55.61, 13.00, 1)
OSLO = Place("Oslo", "NO", 59.91, 10.75, 1)
COPENHAGEN = Place("Copenhagen", "DK", 55.68, 12.57, 1)
LONDON = Place("London", "GB", 51.51, -0.13, 0)
BERLIN = Place("Berlin", "DE", 52.52, 13.40, 1)
MUNICH = Place("Munich", "DE", 48.14, 11.58, 1)
FRANKFURT = Place("Frankfurt am Main", "DE", 50.11, 8.68, 1)
PARIS = Place("Paris", "FR", 48.86, 2.35, 1)
LYON = Place("Lyon", "FR", 45.76, 4.84, 1)
AMSTERDAM = Place("Amsterdam", "NL", 52.37, 4.90, 1)
MADRID = Place("Madrid", "ES", 40.42, -3.70, 1)
BUCHAREST = Place("Bucharest", "RO", 44.43, 26.10, 2)
ISTANBUL = Place("Istanbul", "TR", 41.01, 28.98, 3)
MOSCOW = Place("Moscow", "RU", 55.76, 37.62, 3)
LAGOS = Place("Lagos", "NG", 6.52, 3.38, 1)
ACCRA = Place("Accra", "GH", 5.60, -0.19, 0)
JOHANNESBURG = Place("Johannesburg", "ZA", -26.20, 28.05, 2)
NEW_YORK = Place("New York", "US", 40.71, -74.01, -5)
ASHBURN = Place("Ashburn", "US", 39.04, -77.49, -5)
CHICAGO = Place("Chicago", "US", 41.88, -87.63, -6)
SAO_PAULO = Place("São Paulo", "BR", -23.55, -46.63, -3)
HANOI = Place("Hanoi", "VN", 21.03, 105.85, 7)
JAKARTA = Place("Jakarta", "ID", -6.21, 106.85, 7)
MUMBAI = Place("Mumbai", "IN", 19.08, 72.88, 5)
TOKYO = Place("Tokyo", "JP", 35.68, 139.69, 9)
DUBAI = Place("Dubai", "AE", 25.20, 55.27, 4)


def somewhere(number: int, place: Place | None) -> Address:
    """An address of a hotel, a hosting company or an attacker; each number is another one."""
    return Address(f"203.0.113.{number}", place)


def network(number: int, place: Place | None) -> Address:
    """An address of an office, a home or a mobile operator; each number is another one."""
    return Address(f"198.51.100.{number}", place)
