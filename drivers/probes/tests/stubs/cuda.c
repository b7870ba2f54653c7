#include "stub.h"

int cuInit(unsigned flags) { STEP(cuInit); return flags == 0 ? 0 : 1; }
int cuDriverGetVersion(int *version) { STEP(cuDriverGetVersion); *version = 12090; return 0; }
int cuDeviceGetCount(int *count) { STEP(cuDeviceGetCount); *count = (int)stub_count; return 0; }
int cuDeviceGet(int *device, int ordinal) { STEP(cuDeviceGet); *device = ordinal; return 0; }
int cuDeviceGetName(char *text, int length, int device) { STEP(cuDeviceGetName); stub_textf(text, (size_t)length, "Card %u", (unsigned)device); return 0; }
int cuDeviceGetPCIBusId(char *text, int length, int device) { STEP(cuDeviceGetPCIBusId); stub_textf(text, (size_t)length, "0000:%02X:00.0", 0x10 + (unsigned)device); return 0; }
int cuDeviceTotalMem_v2(size_t *bytes, int device) { STEP(cuDeviceTotalMem_v2); (void)device; *bytes = NUMBER((size_t)79 << 30); return 0; }
int cuDeviceGetUuid_v2(unsigned char uuid[16], int device) {
    STEP(cuDeviceGetUuid_v2);
    memset(uuid, stub_garbage ? 0xff : 0, 16);
    uuid[15] = (unsigned char)(device + 1);
    return 0;
}
int cuDeviceGetAttribute(int *value, int attribute, int device) {
    STEP(cuDeviceGetAttribute);
    (void)device;
    switch (attribute) {
    case 16: *value = NUMBER(132); return 0;
    case 18: *value = NUMBER(0); return 0;
    case 75: *value = NUMBER(9); return 0;
    case 76: *value = NUMBER(0); return 0;
    default: return 1;
    }
}
/* A probe must not make one. */
int cuCtxCreate_v2(void) { abort(); }
int cuDevicePrimaryCtxRetain(void) { abort(); }
