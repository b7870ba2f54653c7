#define PREFIX hgml
#define FULL_FAMILY
#include "family.h"

int hgmlInitWithFlags(unsigned flags) { STEP(hgmlInitWithFlags); return flags == 0 ? 0 : 2; }
int hgmlDeviceGetTotalEnergyConsumption(void *d, unsigned long long *mj) { STEP(hgmlDeviceGetTotalEnergyConsumption); (void)d; *mj = NUMBER(2500ull); return 0; }
int hgmlDeviceGetHggcComputeCapability(void *d, int *major, int *minor) { STEP(hgmlDeviceGetHggcComputeCapability); (void)d; *major = NUMBER(8); *minor = NUMBER(0); return 0; }
