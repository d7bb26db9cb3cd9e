"""pyvmomi, which makes its classes when they are used, so that no type checker knows them."""

from importlib import import_module
from typing import Any, Final

_PYVMOMI: Final[Any] = import_module("pyVmomi")

vim: Final = _PYVMOMI.vim
vmodl: Final = _PYVMOMI.vmodl
SoapStubAdapter: Final = _PYVMOMI.SoapStubAdapter
SoapResponseDeserializer: Final = import_module("pyVmomi.SoapAdapter").SoapResponseDeserializer
