#include "stub.h"

typedef struct { int version; unsigned number; } card_info;
typedef struct { int version; unsigned char uuid[37]; unsigned long long ncs; } uuid_info;
typedef struct { unsigned subsystem, device_id; unsigned short vendor, subsystem_vendor; unsigned domain, bus, device, function; unsigned short module, slot; unsigned reserved[8]; } pcie_info;
typedef struct { long total, used, reserved, virtual_total, virtual_used; unsigned long global, rest[16]; } memory_info;
typedef struct { int usage, cap, machine, tdp, max, rest[16]; } power_info;
typedef struct { int version, board, cluster[20], die[8], chip, rest[6]; } temperature_info;
typedef struct { int version, average, cores[80]; } utilization_info;
typedef struct { int version, health; } health_state;

/* A driver that knows version 5 alone: 6 is refused. */
#ifndef VERSION
#define VERSION 5
#endif
#define WANT(structure) do { if ((structure)->version != VERSION) return 3; } while (0)

int cndevInit(int reserved) { STEP(cndevInit); return reserved == 0 ? 0 : 7; }
int cndevRelease(void) { STEP(cndevRelease); return 0; }
int cndevGetDeviceCount(card_info *info) { STEP(cndevGetDeviceCount); WANT(info); info->number = stub_count; return 0; }
int cndevGetDeviceHandleByIndex(int index, int *device) { STEP(cndevGetDeviceHandleByIndex); *device = index; return 0; }
const char *cndevGetCardNameStringByDevId(int device) { (void)device; return stub_garbage ? "\xfe\xfe\x01" : "MLU370-X8"; }
int cndevGetUUID(uuid_info *uuid, int device) { STEP(cndevGetUUID); WANT(uuid); stub_textf((char *)uuid->uuid, 37, "2ac1-00%02x", (unsigned)device); return 0; }
int cndevGetPCIeInfoV2(pcie_info *pci, int device) { STEP(cndevGetPCIeInfoV2); pci->domain = 0; pci->bus = NUMBER(0x10u + (unsigned)device); pci->device = 0; pci->function = 0; return 0; }
int cndevGetMemoryUsageV2(memory_info *memory, int device) { STEP(cndevGetMemoryUsageV2); (void)device; memory->total = stub_garbage ? -1 : 49152; memory->used = stub_garbage ? -1 : 1024; return 0; }
int cndevGetDevicePowerInfo(power_info *power, int device) { STEP(cndevGetDevicePowerInfo); (void)device; power->usage = stub_garbage ? -1 : 101; power->cap = stub_garbage ? -1 : 250; return 0; }
int cndevGetTemperatureInfo(temperature_info *t, int device) { STEP(cndevGetTemperatureInfo); (void)device; WANT(t); t->board = 30; t->chip = stub_garbage ? -1000 : 45; return 0; }
int cndevGetDeviceUtilizationInfo(utilization_info *u, int device) { STEP(cndevGetDeviceUtilizationInfo); (void)device; WANT(u); u->average = stub_garbage ? -1 : 25; return 0; }
int cndevGetCardHealthState(health_state *state, int device) { STEP(cndevGetCardHealthState); WANT(state); state->health = device == 1 ? 0 : 1; return 0; }
