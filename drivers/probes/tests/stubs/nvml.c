#define PREFIX nvml
#define FULL_FAMILY
#include "family.h"

int nvmlInit_v2(void) { STEP(nvmlInit_v2); return 0; }
int nvmlDeviceGetEnforcedPowerLimit(void *d, unsigned *mw) { STEP(nvmlDeviceGetEnforcedPowerLimit); (void)d; *mw = NUMBER(700000u); return 0; }
int nvmlDeviceGetTotalEnergyConsumption(void *d, unsigned long long *mj) { STEP(nvmlDeviceGetTotalEnergyConsumption); (void)d; *mj = NUMBER(2500ull); return 0; }
int nvmlDeviceGetCurrPcieLinkGeneration(void *d, unsigned *v) { STEP(nvmlDeviceGetCurrPcieLinkGeneration); (void)d; *v = NUMBER(4u); return 0; }
int nvmlDeviceGetCurrPcieLinkWidth(void *d, unsigned *v) { STEP(nvmlDeviceGetCurrPcieLinkWidth); (void)d; *v = NUMBER(16u); return 0; }
int nvmlDeviceGetTotalEccErrors(void *d, unsigned type, unsigned counter, unsigned long long *v) {
    STEP(nvmlDeviceGetTotalEccErrors);
    (void)d;
    if (counter != 0) return 2;
    *v = NUMBER(type == 0 ? 3ull : 1ull);
    return 0;
}
int nvmlDeviceGetCudaComputeCapability(void *d, int *major, int *minor) { STEP(nvmlDeviceGetCudaComputeCapability); (void)d; *major = NUMBER(9); *minor = NUMBER(0); return 0; }
/* The second card is hot and waits for rows to be remapped. */
int nvmlDeviceGetCurrentClocksEventReasons(void *d, unsigned long long *mask) { STEP(nvmlDeviceGetCurrentClocksEventReasons); *mask = INDEX(d) == 1 ? 0x44 : 0x1; return 0; }
int nvmlDeviceGetRemappedRows(void *d, unsigned *c, unsigned *u, unsigned *pending, unsigned *failed) {
    STEP(nvmlDeviceGetRemappedRows);
    *c = 1; *u = 2; *pending = INDEX(d) == 1; *failed = 0;
    return 0;
}
/* The first card has two instances, numbers 0 and 2. */
int nvmlDeviceGetMaxMigDeviceCount(void *d, unsigned *count) { STEP(nvmlDeviceGetMaxMigDeviceCount); *count = INDEX(d) == 0 ? 7 : 0; return 0; }
int nvmlDeviceGetMigDeviceHandleByIndex(void *d, unsigned index, void **out) {
    STEP(nvmlDeviceGetMigDeviceHandleByIndex);
    if (INDEX(d) != 0 || (index != 0 && index != 2)) return 6;
    *out = HANDLE(100 + index);
    return 0;
}

/* What a listener hears: the error that a test or STUB_XID=device:number makes, once. */
typedef struct { void *device; unsigned long long kind, data; unsigned gpu_instance, compute_instance; } event_data;
static unsigned xid_device;
static unsigned long long xid_number;

void stub_xid(unsigned device, unsigned long long number) {
    xid_device = device;
    xid_number = number;
}

int nvmlEventSetCreate(void **set) {
    STEP(nvmlEventSetCreate);
    const char *xid = getenv("STUB_XID"), *colon = xid ? strchr(xid, ':') : 0;
    if (colon) stub_xid((unsigned)atoi(xid), strtoull(colon + 1, 0, 10));
    *set = HANDLE(0x500);
    return 0;
}
int nvmlDeviceRegisterEvents(void *d, unsigned long long kinds, void *set) { STEP(nvmlDeviceRegisterEvents); (void)d; return kinds == 8 && set == HANDLE(0x500) ? 0 : 2; }
int nvmlEventSetWait_v2(void *set, event_data *event, unsigned milliseconds) {
    STEP(nvmlEventSetWait_v2);
    if (set != HANDLE(0x500) || milliseconds != 0) return 2;
    if (xid_number == 0) return 10;
    *event = (event_data){HANDLE(xid_device), 8, xid_number, 0xffffffff, 0xffffffff};
    xid_number = 0;
    return 0;
}
int nvmlEventSetFree(void *set) { STEP(nvmlEventSetFree); return set == HANDLE(0x500) ? 0 : 2; }
