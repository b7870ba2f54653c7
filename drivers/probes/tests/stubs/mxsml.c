#include "stub.h"

typedef struct { unsigned device_id, type; char bdf[32]; unsigned gpu, node; char uuid[96]; unsigned brand, mode; char name[32]; } device_info;
typedef struct { long visible_total, visible_used, total, used, host_total, host_used; } memory_info;
typedef struct { unsigned voltage, current, power; } supply;
typedef struct { float speed; unsigned width; } pcie_info;

int mxSmlInit(void) { STEP(mxSmlInit); return 0; }
unsigned mxSmlGetDeviceCount(void) { return stub_count; }
int mxSmlGetDeviceVersion(unsigned d, int unit, char *text, unsigned *length) { STEP(mxSmlGetDeviceVersion); (void)d; if (unit != 1) return 1; stub_text(text, *length, "3.6.11"); return 0; }
int mxSmlGetDeviceInfo(unsigned d, device_info *info) {
    STEP(mxSmlGetDeviceInfo);
    stub_textf(info->bdf, sizeof info->bdf, "0000:%02x:00.0", 0x10 + d);
    stub_textf(info->uuid, sizeof info->uuid, "GPU-3d4c-%02x", d);
    stub_text(info->name, sizeof info->name, "MXC500");
    return 0;
}
int mxSmlGetMemoryInfo(unsigned d, memory_info *m) { STEP(mxSmlGetMemoryInfo); (void)d; m->total = stub_garbage ? -1 : 67108864; m->used = stub_garbage ? -1 : 1048576; return 0; }
int mxSmlGetTemperatureInfo(unsigned d, int sensor, int *hundredths) { STEP(mxSmlGetTemperatureInfo); (void)d; if (sensor != 0) return 1; *hundredths = stub_garbage ? 0x7fffffff : 4500; return 0; }
int mxSmlGetBoardPowerLimit(unsigned d, unsigned *mw) { STEP(mxSmlGetBoardPowerLimit); (void)d; *mw = NUMBER(350000u); return 0; }
/* Asked without room it gives the number of supplies, and the code that says so. */
int mxSmlGetBoardPowerInfo(unsigned d, unsigned *count, supply *supplies) {
    STEP(mxSmlGetBoardPowerInfo);
    (void)d;
    if (*count < 2) { *count = 2; return 10; }
    supplies[0].power = NUMBER(60500u); supplies[1].power = NUMBER(41000u);
    *count = 2;
    return 0;
}
int mxSmlGetDeviceIpUsage(unsigned d, int ip, int *percent) { STEP(mxSmlGetDeviceIpUsage); (void)d; if (ip != 4) return 3; *percent = stub_garbage ? -1 : 25; return 0; }
int mxSmlGetPcieInfo(unsigned d, pcie_info *pci) { STEP(mxSmlGetPcieInfo); (void)d; pci->speed = 16.0f; pci->width = NUMBER(16u); return 0; }
