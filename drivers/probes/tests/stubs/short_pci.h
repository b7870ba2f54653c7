/* Memory and PCI information of the libraries that dropped NVML's legacy text. */
typedef struct { unsigned long long total, free, used; } memory_v1;
typedef struct { unsigned domain, bus, device, function, pci_device, pci_subsystem; char bus_id[32]; } short_pci;

static void fill_memory(memory_v1 *memory, unsigned device) {
    memory->total = NUMBER(32ull << 30);
    memory->free = NUMBER((31ull << 30) - device);
    memory->used = 1ull << 30;
}
static void fill_pci(short_pci *pci, unsigned device) {
    stub_textf(pci->bus_id, sizeof pci->bus_id, "0000:%02x:00.0", 0x10 + device);
}
