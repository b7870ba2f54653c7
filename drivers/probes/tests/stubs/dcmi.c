#include "stub.h"

typedef struct { unsigned long long size; unsigned frequency; unsigned long long usage; int temperature; unsigned bandwidth; } hbm_info;
typedef struct { unsigned vendor, sub_vendor, device_id, sub_device_id; int domain; unsigned bus, device, function; unsigned char reserve[32]; } pcie_info;
typedef struct { unsigned char type[32], name[32], version[32]; unsigned cores; unsigned char npu[32]; } chip_info;
typedef struct { int enable; unsigned sb, db, total_sb, total_db, sb_iso, db_iso, sb_next, db_next; } ecc_info;

/* One processor on each card, and the card's controller, which is none. */
int dcmi_init(void) { STEP(dcmi_init); return 0; }
int dcmi_get_driver_version(char *text, unsigned length) { STEP(dcmi_get_driver_version); stub_text(text, length, "25.5.1"); return 0; }
int dcmi_get_card_list(int *count, int *list, int length) {
    STEP(dcmi_get_card_list);
    *count = (int)stub_count;
    for (int i = 0; i < *count && i < length; i++) list[i] = i;
    return 0;
}
int dcmi_get_device_num_in_card(int card, int *count) { STEP(dcmi_get_device_num_in_card); (void)card; *count = 2; return 0; }
int dcmi_get_device_type(int card, int device, int *type) { STEP(dcmi_get_device_type); (void)card; *type = device == 0 ? 0 : 1; return 0; }
int dcmi_get_device_chip_info_v2(int card, int device, chip_info *info) {
    STEP(dcmi_get_device_chip_info_v2);
    (void)card; (void)device;
    stub_text((char *)info->name, 32, "910B2");
    info->cores = NUMBER(24u);
    return 0;
}
int dcmi_get_device_die_v2(int card, int device, int type, unsigned id[5]) { STEP(dcmi_get_device_die_v2); (void)device; if (type != 1) return -8001; for (int i = 0; i < 5; i++) id[i] = 0xA0u + (unsigned)(i + card); return 0; }
int dcmi_get_device_pcie_info_v2(int card, int device, pcie_info *pci) { STEP(dcmi_get_device_pcie_info_v2); (void)device; pci->domain = 0; pci->bus = NUMBER(0x10u + (unsigned)card); pci->device = 0; pci->function = 0; return 0; }
int dcmi_get_device_hbm_info(int card, int device, hbm_info *hbm) { STEP(dcmi_get_device_hbm_info); (void)card; (void)device; hbm->size = NUMBER(65536ull); hbm->usage = NUMBER(3072ull); hbm->temperature = 50; return 0; }
int dcmi_get_device_utilization_rate(int card, int device, int type, unsigned *percent) { STEP(dcmi_get_device_utilization_rate); (void)card; (void)device; if (type != 2) return -8001; *percent = NUMBER(25u); return 0; }
int dcmi_get_device_power_info(int card, int device, int *tenths) { STEP(dcmi_get_device_power_info); (void)card; (void)device; *tenths = stub_garbage ? 0x7fffffff : 1015; return 0; }
int dcmi_get_device_temperature(int card, int device, int *degrees) { STEP(dcmi_get_device_temperature); (void)card; (void)device; *degrees = stub_garbage ? 0x7fffffff : 45; return 0; }
int dcmi_get_device_health(int card, int device, unsigned *health) { STEP(dcmi_get_device_health); (void)device; *health = card == 1 ? 2 : 0; return 0; }
int dcmi_get_device_ecc_info(int card, int device, int type, ecc_info *ecc) { STEP(dcmi_get_device_ecc_info); (void)card; (void)device; if (type != 2) return -8001; memset(ecc, 0, sizeof *ecc); ecc->enable = 1; ecc->sb = 3; ecc->db = 1; return 0; }
