/* The calls that NVML and its copies share; PREFIX is their prefix. */
#include "stub.h"

#define JOIN2(a, b) a##b
#define JOIN(a, b) JOIN2(a, b)
#define F(name) JOIN(PREFIX, name)
#define TEXT2(name) #name
#define TEXT(name) TEXT2(name)
#define FSTEP(name)                                    \
    do {                                               \
        int code_ = stub_step(TEXT(PREFIX) #name);     \
        if (code_ != 0) return code_;                  \
    } while (0)

int F(DeviceGetCount_v2)(unsigned *count) { FSTEP(DeviceGetCount_v2); *count = stub_count; return 0; }
int F(DeviceGetHandleByIndex_v2)(unsigned index, void **device) {
    FSTEP(DeviceGetHandleByIndex_v2);
    *device = HANDLE(index);
    return 0;
}
int F(DeviceGetPowerUsage)(void *device, unsigned *milliwatts) {
    FSTEP(DeviceGetPowerUsage);
    *milliwatts = NUMBER(101500u + INDEX(device));
    return 0;
}
int F(DeviceGetTemperature)(void *device, unsigned sensor, unsigned *degrees) {
    FSTEP(DeviceGetTemperature);
    if (sensor != 0) return 2;
    *degrees = NUMBER(45u + 0 * INDEX(device));
    return 0;
}

#ifdef FULL_FAMILY
typedef struct { unsigned version; unsigned long long total, reserved, free, used; } memory_v2;
typedef struct { char legacy[16]; unsigned domain, bus, device, pci_device, pci_subsystem; char bus_id[32]; } pci_info;

int F(Shutdown)(void) { FSTEP(Shutdown); return 0; }
int F(SystemGetDriverVersion)(char *text, unsigned length) {
    FSTEP(SystemGetDriverVersion);
    stub_text(text, length, "580.65.06");
    return 0;
}
int F(DeviceGetName)(void *device, char *text, unsigned length) {
    FSTEP(DeviceGetName);
    stub_textf(text, length, "Card %u", INDEX(device));
    return 0;
}
int F(DeviceGetUUID)(void *device, char *text, unsigned length) {
    FSTEP(DeviceGetUUID);
    stub_textf(text, length, "GPU-00000000-0000-0000-0000-0000000000%02x", INDEX(device) + 1);
    return 0;
}
int F(DeviceGetPciInfo_v3)(void *device, pci_info *pci) {
    FSTEP(DeviceGetPciInfo_v3);
    stub_textf(pci->bus_id, sizeof pci->bus_id, "00000000:%02X:00.0", 0x10 + INDEX(device));
    return 0;
}
int F(DeviceGetMemoryInfo_v2)(void *device, memory_v2 *memory) {
    FSTEP(DeviceGetMemoryInfo_v2);
    if (memory->version != 0x02000028) return 25;
    memory->total = NUMBER(80ull << 30);
    memory->reserved = 1ull << 30;
    memory->free = NUMBER((79ull << 30) - INDEX(device));
    memory->used = INDEX(device);
    return 0;
}
int F(DeviceGetUtilizationRates)(void *device, unsigned rates[2]) {
    FSTEP(DeviceGetUtilizationRates);
    rates[0] = NUMBER(25u + 0 * INDEX(device));
    rates[1] = NUMBER(7u);
    return 0;
}
#endif
