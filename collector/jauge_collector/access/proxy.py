"""The reverse proxy in front: whether a request came through it, for whom, and from where."""

import hmac
import ipaddress
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from jauge_models.configuration import ConfigurationError

from jauge_collector.access.roles import Grant
from jauge_collector.access.tokens import grant_of, is_person
from jauge_collector.config import CollectorConfig

LEAST_SECRET: Final = 32
"""Characters of the shared secret."""
_MOST_GROUPS: Final = 500
_WIDEST: Final = {4: 8, 6: 16}
"""Bits that a network of proxies has in common at least, by the version of IP."""

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Header = Callable[[str], Sequence[str]]
"""All values of a header of a request, by its name."""


@dataclass(frozen=True, slots=True)
class Person:
    """Whom the proxy signed in, and what the groups give."""

    name: str
    grants: tuple[Grant, ...]


class Proxies:
    """Peers that are believed about whom and what they forward. Raises ConfigurationError."""

    def __init__(self, config: CollectorConfig, known: Mapping[str, Collection[str]]) -> None:
        access = self._access = config.console.access
        self._networks = [_network(config, text) for text in access.trusted_proxies]
        self._secret = b""
        if access.proxy_secret_file is not None:
            path = config.beside(access.proxy_secret_file)
            key = "console.access.proxy_secret_file"
            self._secret = config.read(key, access.proxy_secret_file).strip().encode()
            if len(self._secret) < LEAST_SECRET:
                raise ConfigurationError(
                    str(path),
                    "",
                    f"holds fewer than {LEAST_SECRET} characters",
                    "fill it with openssl rand -hex 32",
                )
        self._grants = [
            (
                group.group,
                grant_of(
                    (config.source, f"console.access.groups[{index}]"),
                    group.role,
                    group.sites,
                    group.tenants,
                    known,
                    share=group.share_site_indicators,
                ),
            )
            for index, group in enumerate(access.groups)
        ]

    def trusts(self, peer: str, header: Header) -> bool:
        """Whether a request came from a proxy of ours: address and secret, what is configured."""
        if not (self._networks or self._secret):
            return False
        if self._networks and not self.near(peer):
            return False
        if not self._secret:
            return True
        given = header(self._access.secret_header)
        return len(given) == 1 and hmac.compare_digest(
            given[0].encode(errors="replace"), self._secret
        )

    def person(self, header: Header) -> Person | None:
        """Whom a trusted request is for; None where the headers name nobody, or two."""
        users, groups = header(self._access.user_header), header(self._access.groups_header)
        if len(users) != 1 or len(groups) > 1:
            return None
        name = users[0].strip()
        if not is_person(name):
            return None
        given = groups[0].split(",")[:_MOST_GROUPS] if groups else []
        member = {group.strip() for group in given}
        return Person(name, tuple(grant for group, grant in self._grants if group in member))

    def source(self, peer: str, header: Header) -> str:
        """The address that a request came from, as far as it can be believed."""
        if not self._networks or not self.near(peer):
            return peer
        hops = [hop.strip() for line in header("X-Forwarded-For") for hop in line.split(",")]
        for hop in reversed(hops[-20:]):
            try:
                address = str(ipaddress.ip_address(hop.strip("[]")))
            except ValueError:
                return peer
            if not self.near(address):
                return address
        return peer

    def near(self, peer: str) -> bool:
        """Whether an address is one of the trusted proxies'."""
        try:
            address = ipaddress.ip_address(peer)
        except ValueError:
            return False
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._networks)


def _network(config: CollectorConfig, text: str) -> _Network:
    key = "console.access.trusted_proxies"
    try:
        network = ipaddress.ip_network(text)
    except ValueError:
        raise ConfigurationError(
            str(config.source),
            key,
            f"{text!r} is no address or network",
            "write '127.0.0.1' or '192.0.2.0/24'",
        ) from None
    if network.prefixlen < _WIDEST[network.version]:
        problem = f"{text!r} takes strangers for the proxy: they could call themselves anybody"
        raise ConfigurationError(str(config.source), key, problem, "name the proxy's own address")
    return network
