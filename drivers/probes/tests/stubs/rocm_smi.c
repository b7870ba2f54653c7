#include "stub.h"

int rsmi_init(uint64_t flags) { STEP(rsmi_init); return flags == 0 ? 0 : 1; }
int rsmi_shut_down(void) { STEP(rsmi_shut_down); return 0; }
int rsmi_num_monitor_devices(uint32_t *count) { STEP(rsmi_num_monitor_devices); *count = stub_count; return 0; }
int rsmi_version_str_get(int component, char *text, uint32_t length) { STEP(rsmi_version_str_get); if (component != 0) return 1; stub_text(text, length, "6.10.5"); return 0; }
int rsmi_dev_name_get(uint32_t d, char *text, size_t length) { STEP(rsmi_dev_name_get); stub_textf(text, length, "Instinct %u", d); return 0; }
int rsmi_dev_unique_id_get(uint32_t d, uint64_t *id) { STEP(rsmi_dev_unique_id_get); *id = 0x0cee36ddc4255115ull + d; return 0; }
/* Domain 1, partition 2, which is no part of the address. */
int rsmi_dev_pci_id_get(uint32_t d, uint64_t *id) { STEP(rsmi_dev_pci_id_get); *id = 1ull << 32 | 2ull << 28 | (uint64_t)(0x10 + d) << 8; return 0; }
int rsmi_dev_memory_total_get(uint32_t d, int type, uint64_t *bytes) { STEP(rsmi_dev_memory_total_get); (void)d; if (type != 0) return 1; *bytes = NUMBER(192ull << 30); return 0; }
int rsmi_dev_memory_usage_get(uint32_t d, int type, uint64_t *bytes) { STEP(rsmi_dev_memory_usage_get); if (type != 0) return 1; *bytes = NUMBER((1ull << 30) + d); return 0; }
int rsmi_dev_temp_metric_get(uint32_t d, uint32_t sensor, int metric, int64_t *mc) { STEP(rsmi_dev_temp_metric_get); (void)d; if (sensor != 0 || metric != 0) return 1; *mc = stub_garbage ? INT64_MAX : 45000; return 0; }
int rsmi_dev_power_ave_get(uint32_t d, uint32_t sensor, uint64_t *uw) { (void)d; (void)sensor; (void)uw; return 2; }
int rsmi_dev_power_get(uint32_t d, uint64_t *uw, int *kind) { STEP(rsmi_dev_power_get); (void)d; *kind = 1; *uw = NUMBER(101500000ull); return 0; }
int rsmi_dev_power_cap_get(uint32_t d, uint32_t sensor, uint64_t *uw) { STEP(rsmi_dev_power_cap_get); (void)d; (void)sensor; *uw = NUMBER(750000000ull); return 0; }
int rsmi_dev_busy_percent_get(uint32_t d, uint32_t *percent) { STEP(rsmi_dev_busy_percent_get); (void)d; *percent = NUMBER(25u); return 0; }
int rsmi_dev_energy_count_get(uint32_t d, uint64_t *count, float *resolution, uint64_t *time) { STEP(rsmi_dev_energy_count_get); (void)d; *count = NUMBER(1000000ull); *resolution = 2.5f; *time = 1; return 0; }
