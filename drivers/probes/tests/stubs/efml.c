#define PREFIX efml
#include "family.h"
#include "short_pci.h"

int efmlInit_v2(void) { STEP(efmlInit_v2); return 0; }
int efmlDeviceGetName(void *d, char *text, unsigned length) { STEP(efmlDeviceGetName); stub_textf(text, length, "S60-%u", INDEX(d)); return 0; }
int efmlDeviceGetPciInfo_v3(void *d, short_pci *pci) { STEP(efmlDeviceGetPciInfo_v3); fill_pci(pci, INDEX(d)); return 0; }
int efmlDeviceGetMemoryInfo(void *d, memory_v1 *memory) { STEP(efmlDeviceGetMemoryInfo); fill_memory(memory, INDEX(d)); return 0; }
/* Fields in an order of its own: asking it would give wrong numbers. */
int efmlDeviceGetMemoryInfo_v2(void *d, void *memory) { (void)d; (void)memory; abort(); }
int efmlDeviceGetCurrPcieLinkGeneration(void *d, unsigned *v) { STEP(efmlDeviceGetCurrPcieLinkGeneration); (void)d; *v = NUMBER(4u); return 0; }
int efmlDeviceGetCurrPcieLinkWidth(void *d, unsigned *v) { STEP(efmlDeviceGetCurrPcieLinkWidth); (void)d; *v = NUMBER(16u); return 0; }
