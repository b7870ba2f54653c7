#include "stub.h"
#include "short_pci.h"

int brmlInit(void) { STEP(brmlInit); return 0; }
int brmlShutdown(void) { STEP(brmlShutdown); return 0; }
int brmlSystemGetDriverVersion(char *text, unsigned length) { STEP(brmlSystemGetDriverVersion); stub_text(text, length, "1.5.0"); return 0; }
int brmlDeviceGetCount(unsigned *count) { STEP(brmlDeviceGetCount); *count = stub_count; return 0; }
int brmlDeviceGetHandleByIndex(unsigned index, void **d) { STEP(brmlDeviceGetHandleByIndex); *d = HANDLE(index); return 0; }
int brmlDeviceGetProductPartNumber(void *d, char *text, unsigned length) { STEP(brmlDeviceGetProductPartNumber); stub_textf(text, length, "BR104-%u", INDEX(d)); return 0; }
int brmlDeviceGetUUID(void *d, char *text, unsigned length) { STEP(brmlDeviceGetUUID); stub_textf(text, length, "GPU-b1%02x", INDEX(d)); return 0; }
int brmlDeviceGetPciInfo(void *d, short_pci *pci) { STEP(brmlDeviceGetPciInfo); fill_pci(pci, INDEX(d)); return 0; }
int brmlDeviceGetMemoryInfo(void *d, memory_v1 *memory) { STEP(brmlDeviceGetMemoryInfo); fill_memory(memory, INDEX(d)); return 0; }
int brmlDeviceGetUtilizationRates(void *d, unsigned rates[2]) { STEP(brmlDeviceGetUtilizationRates); (void)d; rates[0] = NUMBER(25u); rates[1] = 0; return 0; }
int brmlDeviceGetPowerUsage(void *d, unsigned *mw) { STEP(brmlDeviceGetPowerUsage); (void)d; *mw = NUMBER(101500u); return 0; }
int brmlDeviceGetPowerManagementLimit(void *d, unsigned *mw) { STEP(brmlDeviceGetPowerManagementLimit); (void)d; *mw = NUMBER(300000u); return 0; }
/* A code of a range, not degrees: asking it would give a wrong number. */
int brmlDeviceGetTemperature(void *d, unsigned sensor, unsigned *code) { (void)d; (void)sensor; (void)code; abort(); }
