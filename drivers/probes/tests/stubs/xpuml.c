#include "stub.h"

typedef struct { uint64_t page_global, total_global, free_global, used_global, page_l3, total_l3, free_l3, used_l3, reserved[8]; } memory;
typedef struct { uint32_t numbers[6]; char bus_id[32]; uint64_t reserved[9]; } pci_info;
typedef struct { uint32_t xpu, memory; uint64_t reserved[15]; } utilization;

int xpumlInit(void) { STEP(xpumlInit); return 0; }
int xpumlShutdown(void) { STEP(xpumlShutdown); return 0; }
int xpumlSystemGetDriverVersion(char *text, unsigned length) { STEP(xpumlSystemGetDriverVersion); stub_text(text, length, "4.0.31"); return 0; }
int xpumlDeviceGetCount(unsigned *count) { STEP(xpumlDeviceGetCount); *count = stub_count; return 0; }
int xpumlDeviceGetHandleByIndex(unsigned index, void **d) { STEP(xpumlDeviceGetHandleByIndex); *d = HANDLE(index); return 0; }
int xpumlDeviceGetSerial(void *d, char *text, unsigned length) { STEP(xpumlDeviceGetSerial); if (length != 17) return 7; stub_textf(text, length, "02K00Y6217V0000%x", INDEX(d)); return 0; }
int xpumlDeviceGetPciInfo(void *d, pci_info *pci) { STEP(xpumlDeviceGetPciInfo); stub_textf(pci->bus_id, 32, "0000:%02x:00.0", 0x10 + INDEX(d)); return 0; }
int xpumlDeviceGetMemoryInfo(void *d, memory *m) {
    STEP(xpumlDeviceGetMemoryInfo);
    memset(m, 0, sizeof *m);
    m->total_global = NUMBER(32ull << 30); m->free_global = NUMBER((31ull << 30) - INDEX(d)); m->used_global = 1ull << 30; m->total_l3 = 63 << 20;
    return 0;
}
int xpumlDeviceGetUtilizationRates(void *d, utilization *u) { STEP(xpumlDeviceGetUtilizationRates); (void)d; memset(u, 0, sizeof *u); u->xpu = NUMBER(25u); return 0; }
int xpumlDeviceGetTemperature(void *d, unsigned sensor, unsigned *degrees) { STEP(xpumlDeviceGetTemperature); (void)d; (void)sensor; *degrees = NUMBER(45u); return 0; }
/* No unit is documented: asking it would give a wrong number. */
int xpumlDeviceGetPowerUsage(void *d, unsigned *power) { (void)d; (void)power; abort(); }
