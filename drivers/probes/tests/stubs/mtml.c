#include "stub.h"

typedef struct { char sbdf[32]; unsigned segment, bus, device, pci_device, pci_subsystem, bus_width; float max_speed, speed; unsigned max_width, width, max_gen, gen; int rest[6]; } pci_info;

/* Handles that are out: none may be left at the end. */
static int held;
int stub_held(void) { return held; }

int mtmlLibraryInit(void **library) { STEP(mtmlLibraryInit); held++; *library = HANDLE(900); return 0; }
int mtmlLibraryShutDown(void *library) { STEP(mtmlLibraryShutDown); held--; return library == HANDLE(900) ? 0 : 2; }
int mtmlLibraryInitSystem(const void *library, void **system) { STEP(mtmlLibraryInitSystem); (void)library; held++; *system = HANDLE(901); return 0; }
int mtmlLibraryFreeSystem(void *system) { STEP(mtmlLibraryFreeSystem); (void)system; held--; return 0; }
int mtmlSystemGetDriverVersion(const void *system, char *text, unsigned length) { STEP(mtmlSystemGetDriverVersion); (void)system; stub_text(text, length, "3.0.0"); return 0; }
int mtmlLibraryCountDevice(const void *library, unsigned *count) { STEP(mtmlLibraryCountDevice); if (library != HANDLE(900)) return 2; *count = stub_count; return 0; }
int mtmlLibraryInitDeviceByIndex(const void *library, unsigned index, void **device) { STEP(mtmlLibraryInitDeviceByIndex); (void)library; held++; *device = HANDLE(index); return 0; }
int mtmlLibraryFreeDevice(void *device) { STEP(mtmlLibraryFreeDevice); (void)device; held--; return 0; }
int mtmlDeviceGetName(const void *d, char *text, unsigned length) { STEP(mtmlDeviceGetName); if (length != 32) return 6; stub_textf(text, length, "MTT S4000 %u", INDEX(d)); return 0; }
int mtmlDeviceGetUUID(const void *d, char *text, unsigned length) { STEP(mtmlDeviceGetUUID); if (length != 48) return 6; stub_textf(text, length, "3f00-%02x", INDEX(d)); return 0; }
int mtmlDeviceGetPciInfo(const void *d, pci_info *pci) {
    STEP(mtmlDeviceGetPciInfo);
    stub_textf(pci->sbdf, 32, "00000000:%02x:00.0", 0x10 + INDEX(d));
    pci->max_width = NUMBER(16u); pci->width = NUMBER(8u); pci->max_gen = NUMBER(5u); pci->gen = NUMBER(4u);
    return 0;
}
int mtmlDeviceCountGpuCores(const void *d, unsigned *count) { STEP(mtmlDeviceCountGpuCores); (void)d; *count = NUMBER(8192u); return 0; }
int mtmlDeviceGetPowerUsage(const void *d, unsigned *mw) { STEP(mtmlDeviceGetPowerUsage); (void)d; *mw = NUMBER(101500u); return 0; }
int mtmlDeviceInitMemory(const void *d, void **memory) { STEP(mtmlDeviceInitMemory); (void)d; held++; *memory = HANDLE(902); return 0; }
int mtmlDeviceFreeMemory(void *memory) { STEP(mtmlDeviceFreeMemory); (void)memory; held--; return 0; }
int mtmlMemoryGetTotal(const void *m, unsigned long long *bytes) { STEP(mtmlMemoryGetTotal); (void)m; *bytes = NUMBER(48ull << 30); return 0; }
int mtmlMemoryGetUsed(const void *m, unsigned long long *bytes) { STEP(mtmlMemoryGetUsed); (void)m; *bytes = NUMBER(1ull << 30); return 0; }
int mtmlDeviceInitGpu(const void *d, void **gpu) { STEP(mtmlDeviceInitGpu); (void)d; held++; *gpu = HANDLE(903); return 0; }
int mtmlDeviceFreeGpu(void *gpu) { STEP(mtmlDeviceFreeGpu); (void)gpu; held--; return 0; }
int mtmlGpuGetUtilization(const void *g, unsigned *percent) { STEP(mtmlGpuGetUtilization); (void)g; *percent = NUMBER(25u); return 0; }
int mtmlGpuGetTemperature(const void *g, unsigned *degrees) { STEP(mtmlGpuGetTemperature); (void)g; *degrees = NUMBER(45u); return 0; }
