"""All that may leave for a vCenter: a login, reading, and the logout.

Every request goes through `Stub.InvokeMethod`, which refuses any method that is not in `ALLOWED`,
or through `Stub.post`, which sends nothing but QueryPerf.
The one that makes something, CreateContainerView, makes a list for this session alone, which ends
with it (vSphere Web Services SDK Programming Guide, "Using Views").

All calls block; a session belongs to one thread.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from http.client import HTTPException
from socket import SHUT_RDWR
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeVar
from xml.parsers.expat import ExpatError

from jauge_agent.source import RetryError
from jauge_agent.sources.vsphere.failures import (
    ExpiredError,
    FaultError,
    ForbiddenError,
    RefusedError,
)
from jauge_agent.sources.vsphere.query import Answered, Question, answered, asked
from jauge_agent.sources.vsphere.sdk import (
    SoapResponseDeserializer,
    SoapStubAdapter,
    vim,
    vmodl,
)

if TYPE_CHECKING:
    import ssl

ALLOWED: Final = frozenset(
    {
        "RetrieveServiceContent",
        "Login",
        "Logout",
        "CurrentTime",
        "CreateContainerView",
        "RetrievePropertiesEx",
        "ContinueRetrievePropertiesEx",
        "QueryPerf",
    }
)
"""Methods that may leave, by their names in the interface's description (WSDL)."""

API: Final = "vim.version.version11"
"""vSphere 6.5: later ones answer it too, and nothing that is read is younger."""
REQUEST_S: Final = 60.0
"""Seconds for which a vCenter may be silent within a request."""
PAGE: Final = 500
"""Objects per answer; the rest is asked for with its token."""

_IDLE_S: Final = 15
"""A connection that has waited longer is made anew: the vCenter may have closed it meanwhile."""
_LONGEST_FAULT: Final = 1 << 20

_UNKNOWN_AUTHORITY: Final = "; ca_file must hold the certificate of its authority"
_OTHER_NAME: Final = "; host must be a name that stands in it"
_FIXES: Final[Mapping[int, str]] = MappingProxyType(
    {
        **dict.fromkeys((18, 19, 20, 21), _UNKNOWN_AUTHORITY),
        **dict.fromkeys((62, 64), _OTHER_NAME),
    }
)
"""What helps, by OpenSSL's number of the refusal (x509_vfy.h, ``X509_V_ERR_…``)."""

_Result = TypeVar("_Result")
_Collector = vmodl.query.PropertyCollector


@dataclass(frozen=True, slots=True)
class Login:
    """How to get in."""

    username: str
    password: str = field(repr=False)


class Stub(SoapStubAdapter):  # type: ignore[misc]  # see sdk
    """The one way out."""

    _in_use: Any = None

    def InvokeMethod(  # noqa: N802 - pyvmomi's name
        self,
        mo: Any,
        info: Any,
        args: Any,
        outerStub: Any = None,  # noqa: N803 - see above
    ) -> Any:
        """Send a request. Raises ForbiddenError for any method but those that read."""
        if info.wsdlName not in ALLOWED:
            raise ForbiddenError(info.wsdlName)
        return super().InvokeMethod(mo, info, args, outerStub)

    def GetConnection(self) -> Any:  # noqa: N802 - see above
        """The connection of the next request, which `abort` may end."""
        self._in_use = super().GetConnection()
        return self._in_use

    def abort(self) -> None:
        """End the request in flight, from any thread: it fails."""
        with contextlib.suppress(OSError, AttributeError):  # none, or ended by itself
            self._in_use.sock.shutdown(SHUT_RDWR)

    def post(self, body: bytes, read: Callable[[Callable[[int], bytes]], _Result]) -> _Result:
        """Send a QueryPerf that was put together by hand; raises what pyvmomi would."""
        headers = {
            "Cookie": self.cookie,
            "SOAPAction": self.versionId,
            "Content-Type": "text/xml; charset=UTF-8",
            "Accept-Encoding": "identity",
        }
        connection = self.GetConnection()
        try:
            connection.request("POST", self.path, body, headers)
            response = connection.getresponse()
            if response.status not in {200, 500}:
                raise HTTPException(f"{response.status} {response.reason}")  # noqa: TRY301 - as pyvmomi
            if response.status == 200:
                result = read(response.read)
            else:
                fault = response.read(_LONGEST_FAULT)
                raise self._fault(fault)  # noqa: TRY301 - the connection is given up alike
        except BaseException:
            connection.close()
            self.DropConnections()
            raise
        self.ReturnConnection(connection)
        return result

    def _fault(self, text: bytes) -> Exception:
        fault = SoapResponseDeserializer(self).Deserialize(text, object)
        return fault if isinstance(fault, Exception) else HTTPException("500")


class Session:
    """One session at ``https://authority/sdk``.

    Every method may raise RetryError when the vCenter does not answer, ExpiredError when it has
    forgotten the session, and FaultError when it refuses the request. Which vCenter it is, who
    hands these on must say.
    """

    def __init__(self, host: str, port: int, tls: "ssl.SSLContext") -> None:
        """Nothing is sent before `open`."""
        self._stub = Stub(
            host=host,
            port=port,
            version=API,
            sslContext=tls,
            poolSize=1,
            connectionPoolTimeout=_IDLE_S,
            httpConnectionTimeout=REQUEST_S,
        )
        self._content: Any = None
        self._view: Any = None
        self.logins = 0

    @property
    def identity(self) -> str:
        """The vCenter's own UUID; empty where it tells none."""
        return str(self._content.about.instanceUuid or "") if self._content else ""

    @property
    def title(self) -> str:
        """Product and version, for people."""
        return str(self._content.about.fullName) if self._content else ""

    @property
    def is_open(self) -> bool:
        """Whether somebody is logged in, as far as is known."""
        return self._view is not None

    def open(self, login: Login) -> None:
        """Log in, anew if need be. Raises RefusedError when the vCenter lets this user not in."""
        self.close()
        self._stub.cookie = ""
        with self._explained():
            root = vim.ServiceInstance("ServiceInstance", self._stub)
            self._content = root.RetrieveContent()
            self._content.sessionManager.Login(login.username, login.password, None)
            self.logins += 1
            self._view = self._content.viewManager.CreateContainerView(
                self._content.rootFolder,
                [vim.HostSystem, vim.VirtualMachine, vim.ClusterComputeResource],
                True,  # recursive
            )

    def close(self) -> None:
        """Log out, and close the connection; raises nothing."""
        if self._view is not None:
            with contextlib.suppress(Exception):
                self._content.sessionManager.Logout()
        self._view = None
        self._stub.DropConnections()

    def abort(self) -> None:
        """Have the request in flight fail; the only method for any thread."""
        self._stub.abort()

    def now_ms(self) -> int:
        """The vCenter's clock, in ms since the Unix epoch."""
        with self._explained():
            now: datetime = vim.ServiceInstance("ServiceInstance", self._stub).CurrentTime()
        return round(now.timestamp() * 1000)

    def objects(
        self, wanted: Mapping[Any, Sequence[str]], of: Sequence[Any] | None = None
    ) -> Iterator[tuple[Any, dict[str, Any]]]:
        """Hosts, guests and clusters with their properties, those of ``of`` or all there are.

        One request, and one for each further page of the answer. What this user may not see, and
        what has vanished meanwhile, is left out.
        """
        if of is None:
            through = _Collector.TraversalSpec(
                name="view", path="view", skip=False, type=vim.view.ContainerView
            )
            starts = [_Collector.ObjectSpec(obj=self._view, skip=True, selectSet=[through])]
        else:
            starts = [_Collector.ObjectSpec(obj=each, skip=False) for each in of]
        properties = [
            _Collector.PropertySpec(type=kind, pathSet=list(paths), all=False)
            for kind, paths in wanted.items()
        ]
        spec = _Collector.FilterSpec(
            objectSet=starts, propSet=properties, reportMissingObjectsInResults=True
        )
        collector = self._content.propertyCollector
        with self._explained():
            answer = collector.RetrievePropertiesEx(
                [spec], _Collector.RetrieveOptions(maxObjects=PAGE)
            )
        while answer is not None:
            for each in answer.objects:
                yield each.obj, {found.name: found.val for found in each.propSet}
            if not answer.token:
                return
            with self._explained():
                answer = collector.ContinueRetrievePropertiesEx(answer.token)

    def counters(self) -> Sequence[Any]:
        """What the vCenter's performance counters are (PerfCounterInfo)."""
        manager = self._content.perfManager
        found = self.objects({vim.PerformanceManager: ["perfCounter"]}, [manager])
        return next((values.get("perfCounter", ()) for _, values in found), ())

    def attributes(self) -> Mapping[int, str]:
        """Names of the custom attributes by their keys."""
        manager = self._content.customFieldsManager
        if manager is None:
            return {}
        found = self.objects({vim.CustomFieldsManager: ["field"]}, [manager])
        return {each.key: each.name for _, values in found for each in values.get("field", ())}

    def samples(self, questions: Sequence[Question]) -> list[Answered]:
        """What the vCenter answers to these questions, by one QueryPerf."""
        body = asked(self._content.perfManager._moId, questions)  # noqa: SLF001 - no other way
        with self._explained():
            return self._stub.post(body, answered)

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Failures of pyvmomi by the names that they have here."""
        try:
            yield
        except vim.fault.InvalidLogin:
            raise RefusedError("no session for this user: its name or password is wrong") from None
        except vim.fault.NotAuthenticated:
            self._view = None
            raise ExpiredError("the session has ended") from None
        except vmodl.fault.ManagedObjectNotFound as fault:
            missing = getattr(fault.obj, "_moId", None)
            raise FaultError(f"{missing} is gone", missing) from None
        except vmodl.MethodFault as fault:
            kind = type(fault).__name__.rpartition(".")[2]
            raise FaultError(f"request refused ({kind})") from None
        except (OSError, HTTPException, ExpatError) as error:
            raise RetryError(_in_words(error)) from None
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            # What pyvmomi raises for an answer that is not as the interface's description has it.
            name = type(error).__name__
            raise RetryError(f"an answer cannot be understood ({name})") from None


def _in_words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {REQUEST_S:g} s"
    if reason := getattr(error, "verify_message", ""):
        fix = _FIXES.get(getattr(error, "verify_code", 0), "")
        return f"certificate refused: {reason}{fix}"
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return type(error).__name__
