#define PREFIX nvml
#define FULL_FAMILY
#include "family.h"

int nvmlInit_v2(void) { STEP(nvmlInit_v2); return 0; }
int nvmlDeviceGetPowerManagementDefaultLimit(void *d, unsigned *mw) { STEP(nvmlDeviceGetPowerManagementDefaultLimit); (void)d; *mw = NUMBER(350000u); return 0; }
int nvmlDeviceGetCudaComputeCapability(void *d, int *major, int *minor) { STEP(nvmlDeviceGetCudaComputeCapability); (void)d; *major = NUMBER(7); *minor = NUMBER(1); return 0; }
/* The second card is too hot. */
int ixmlDeviceGetHealth(void *d, unsigned long long *bits) { STEP(ixmlDeviceGetHealth); *bits = INDEX(d) == 1 ? 4 : 0; return 0; }
