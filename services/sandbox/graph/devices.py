"""Graph's devices that somebody has registered in the directory."""

from services.sandbox.graph.core import DIRECTORY, Answer, Call, Json, Routes, collection, filtered
from services.sandbox.graph.users import user_or_404
from services.sandbox.state import RegisteredDevice, graph_time

routes = Routes(DIRECTORY)


@routes.add("GET", "users/{user}/registeredDevices", ("User.Read.All", "Directory.Read.All"))
def registered_devices(call: Call) -> Answer:
    """
    Source: "List registeredDevices", which names no permission for applications, though they are answered.

    Without a permission that covers devices, each shows its type and id, and null for everything else.
    """
    person = user_or_404(call)
    readable = call.any_role("Device.Read.All", "Directory.Read.All")
    shown = [_device_json(device, readable=readable) for device in person.devices]
    return collection(call, filtered(call, shown), "directoryObjects")


def _device_json(device: RegisteredDevice, *, readable: bool) -> Json:
    kind = {"@odata.type": "#microsoft.graph.device", "id": device.oid}
    properties = {
        "accountEnabled": True,
        "approximateLastSignInDateTime": graph_time(device.registered_at),
        "createdDateTime": graph_time(device.registered_at),
        "deviceId": device.oid,
        "displayName": device.name,
        "isCompliant": device.compliant,
        "isManaged": device.managed,
        "operatingSystem": device.system,
        "operatingSystemVersion": "10.0.26100.6584" if device.system == "Windows" else "15",
        "profileType": "RegisteredDevice",
        "registrationDateTime": graph_time(device.registered_at),
        "trustType": device.trust_type,
    }
    return {**kind, **(properties if readable else dict.fromkeys(properties))}
