#include "stub.h"

typedef struct { uint32_t stype; void *next; uint32_t domain, bus, device, function; int32_t speed[2]; int64_t bandwidth; uint8_t has[3]; } pci_properties;
typedef struct { uint32_t stype; void *next; uint32_t health; uint64_t free, size; } mem_state;
typedef struct { uint64_t energy, timestamp; } energy_counter;

/* Count first, then so many handles. */
static int list(uint32_t *count, void **handles, unsigned there, unsigned base) {
    if (handles == NULL || *count == 0) { *count = there; return 0; }
    for (unsigned i = 0; i < *count && i < there; i++) handles[i] = HANDLE(base + i);
    return 0;
}

int zesInit(uint32_t flags) { STEP(zesInit); return flags == 0 ? 0 : 1; }
int zesDriverGet(uint32_t *count, void **drivers) { STEP(zesDriverGet); return list(count, drivers, 1, 900); }
int zesDeviceGet(void *driver, uint32_t *count, void **devices) { STEP(zesDeviceGet); (void)driver; return list(count, devices, stub_count, 0); }
int zesDevicePciGetProperties(void *d, pci_properties *pci) {
    STEP(zesDevicePciGetProperties);
    if (pci->stype != 0x2 || pci->next != NULL) return 0x78000004;
    pci->domain = 0; pci->bus = NUMBER(0x10u + INDEX(d)); pci->device = 0; pci->function = 0;
    return 0;
}
/* Two modules of each device. */
int zesDeviceEnumMemoryModules(void *d, uint32_t *count, void **modules) { STEP(zesDeviceEnumMemoryModules); (void)d; return list(count, modules, 2, 500); }
int zesMemoryGetState(void *module, mem_state *state) {
    STEP(zesMemoryGetState);
    (void)module;
    if (state->stype != 0x1e || state->next != NULL) return 0x78000004;
    state->health = 1; state->free = NUMBER(7ull << 30); state->size = NUMBER(8ull << 30);
    return 0;
}
int zesDeviceEnumPowerDomains(void *d, uint32_t *count, void **domains) { STEP(zesDeviceEnumPowerDomains); (void)d; return list(count, domains, 1, 600); }
int zesPowerGetEnergyCounter(void *domain, energy_counter *counter) { STEP(zesPowerGetEnergyCounter); (void)domain; counter->energy = NUMBER(2500000ull); counter->timestamp = 1; return 0; }
int zesDeviceEnumTemperatureSensors(void *d, uint32_t *count, void **sensors) { STEP(zesDeviceEnumTemperatureSensors); (void)d; return list(count, sensors, 2, 700); }
int zesTemperatureGetState(void *sensor, double *degrees) { STEP(zesTemperatureGetState); *degrees = stub_garbage ? 1e300 : 44.0 + (INDEX(sensor) - 700); return 0; }
