"""Where a webhook may not go, however it is written."""

import asyncio

import pytest

from hub.hooks import Refused, check_url
from hub.hooks.guard import resolve

NOWHERE = [
    "http://hooks.example/in", "ftp://hooks.example/in", "file:///etc/passwd", "javascript:alert(1)", "hooks.example/in",
    "https://", "https:///in", "https://user@hooks.example/", "https://user:word@hooks.example/", "https://hooks.example/#in",
    "https://hooks.example:0/", "https://hooks.example:99999/", "https://hooks.example:80:81/", "https://hooks example/",
    "https://hooks.example\\@127.0.0.1/", "https://hooks.example/\r\nhost: other.example", "https://hooks.example/\x00",
    "https://127.0.0.1/", "https://127.1/", "https://2130706433/", "https://0x7f000001/", "https://0x7f.0x0.0x0.0x1/",
    "https://0177.0.0.1/", "https://017700000001/", "https://127.0.0.1./", "https://\uff11\uff12\uff17.0.0.1/",
    "https://127\u30020\u30020\u30021/", "https://%31%32%37.0.0.1/", "https://0.0.0.0/", "https://0/", "https://10.1.2.3/",
    "https://172.16.0.1/", "https://192.168.0.1/", "https://100.64.0.1/", "https://169.254.169.254/latest/meta-data/",
    "https://168.63.129.16/", "https://100.100.100.200/", "https://192.0.0.192/", "https://198.18.0.1/",
    "https://224.0.0.1/", "https://255.255.255.255/", "https://240.0.0.1/", "https://[::1]/", "https://[::]/",
    "https://[::ffff:127.0.0.1]/", "https://[::ffff:7f00:1]/", "https://[::127.0.0.1]/", "https://[64:ff9b::7f00:1]/",
    "https://[64:ff9b::a9fe:a9fe]/", "https://[64:ff9b:1::1]/", "https://[2002:7f00:1::1]/", "https://[2001:0:7f00:1::1]/",
    "https://[fe80::1]/", "https://[fe80::1%25eth0]/", "https://[fe80::1%eth0]/", "https://[fc00::1]/",
    "https://[fd00:ec2::254]/", "https://[fec0::1]/", "https://[ff02::1]/", "https://[2001:db8::1]/", "https://[::1",
    "https://" + "a" * 2000 + ".example/", "https://" + "a" * 64 + ".example/", "https://" + "a." * 130 + "example/",
    "https://hooks..example/", "https://./",
]  # fmt: skip


@pytest.mark.parametrize("url", NOWHERE)
def test_an_address_that_no_webhook_may_go_to(url: str) -> None:
    with pytest.raises(Refused):
        check_url(url)


@pytest.mark.parametrize("url", [
    "https://hooks.example/in", "https://hooks.example:8443/in?a=b", "https://93.184.215.14/", "https://xn--bcher-kva.example/",
    "https://[2606:2800:21f:cb07:6820:80da:af6b:8b2c]/in", "HTTPS://HOOKS.EXAMPLE/", "https://4chan.example/", "https://1.example/",
])  # fmt: skip
def test_an_address_that_one_may_go_to(url: str) -> None:
    assert check_url(url).scheme == "https"


def test_this_machine_only_for_development() -> None:
    for url in (
        "http://127.0.0.1:8000/in",
        "http://localhost/in",
        "http://[::1]/in",
        "https://127.0.0.1/",
        "https://hub.localhost./",
    ):
        check_url(url, allow_loopback=True)
        with pytest.raises(Refused):
            check_url(url)
    for url in ("http://hooks.example/", "http://10.0.0.1/", "https://10.0.0.1/", "https://169.254.169.254/"):
        with pytest.raises(Refused):
            check_url(url, allow_loopback=True)


def answering(*addresses: str):
    async def ask(host: str, port: int) -> list[str]:
        return list(addresses)

    return ask


@pytest.mark.parametrize("address", [
    "127.0.0.1", "10.0.0.7", "169.254.169.254", "::1", "::ffff:10.0.0.7", "fe80::1%eth0", "64:ff9b::a00:7", "fd00::1", "0.0.0.0",
])  # fmt: skip
def test_a_name_that_leads_inside_is_refused_even_beside_one_that_does_not(address: str) -> None:
    for found in ([address], ["93.184.215.14", address]):
        with pytest.raises(Refused, match="not a public address|no address"):
            asyncio.run(resolve("https://hooks.example/", resolver=answering(*found)))


def test_what_was_looked_at_is_what_is_connected_to() -> None:
    target = asyncio.run(
        resolve("https://hooks.example/in", resolver=answering("93.184.215.14", "93.184.215.14", "2606:2800:21f::1"))
    )
    assert (target.host, target.addresses) == ("hooks.example", ("93.184.215.14", "2606:2800:21f::1"))


def test_a_name_without_an_address() -> None:
    with pytest.raises(OSError, match="no address"):
        asyncio.run(resolve("https://hooks.example/in", resolver=answering()))
