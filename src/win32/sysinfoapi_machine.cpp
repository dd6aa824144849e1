// sysinfoapi.h, the half about the machine: memory, and processors with their features.
#include <cpuid.h>
#include <sys/auxv.h>
#include <x86intrin.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <vector>

#include "os/os.hpp"
#include "os/system.hpp"
#include "win32/natives.hpp"

namespace bobbin::win32 {
namespace {

using namespace abi;

// ---- memory, and the machine as a whole
// -----------------------------------------------------------------------------------------

constexpr WORD PROCESSOR_ARCHITECTURE_AMD64 = 9;
constexpr DWORD PROCESSOR_AMD_X8664 = 8664;
constexpr std::uint64_t kLowestAddress = 0x10000;
constexpr std::uint64_t kHighestAddress = 0x7FFFFFFEFFFF;
constexpr std::uint64_t kAddressSpace = 0x7FFFFFFE0000;  // between the two, as Windows counts it

struct SYSTEM_INFO {
  WORD wProcessorArchitecture;
  WORD wReserved;
  DWORD dwPageSize;
  std::uint64_t lpMinimumApplicationAddress;
  std::uint64_t lpMaximumApplicationAddress;
  DWORD_PTR dwActiveProcessorMask;
  DWORD dwNumberOfProcessors;
  DWORD dwProcessorType;
  DWORD dwAllocationGranularity;
  WORD wProcessorLevel;
  WORD wProcessorRevision;
};
static_assert(sizeof(SYSTEM_INFO) == 48);

struct Cpuid {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
};

/// All zero for a leaf that the processor does not have.
Cpuid cpuid(unsigned leaf) {
  Cpuid out;
  __get_cpuid_count(leaf, 0, &out.eax, &out.ebx, &out.ecx, &out.edx);
  return out;
}

/// A Windows process sees at most the 64 processors of its group.
unsigned processors() { return std::min(os::processor_count(), 64u); }

std::uint64_t processor_mask() { return ~std::uint64_t{0} >> (64 - processors()); }

struct ProcessorModel {
  WORD family;
  WORD revision;  ///< model in the high byte, stepping in the low one
};

ProcessorModel processor_model() {
  const unsigned signature = cpuid(1).eax;
  const unsigned family = signature >> 8 & 15;
  const unsigned model = (signature >> 4 & 15) | (signature >> 12 & 0xF0);
  return {static_cast<WORD>(family == 15 ? family + (signature >> 20 & 0xFF) : family),
          static_cast<WORD>(model << 8 | (signature & 15))};
}

void GetSystemInfo(SYSTEM_INFO* out) {
  const ProcessorModel model = processor_model();
  *out = {.wProcessorArchitecture = PROCESSOR_ARCHITECTURE_AMD64,
          .wReserved = 0,
          .dwPageSize = static_cast<DWORD>(os::kPageSize),
          .lpMinimumApplicationAddress = kLowestAddress,
          .lpMaximumApplicationAddress = kHighestAddress,
          .dwActiveProcessorMask = processor_mask(),
          .dwNumberOfProcessors = processors(),
          .dwProcessorType = PROCESSOR_AMD_X8664,
          .dwAllocationGranularity = 0x10000,
          .wProcessorLevel = model.family,
          .wProcessorRevision = model.revision};
}

void GetNativeSystemInfo(SYSTEM_INFO* out) { GetSystemInfo(out); }

struct MEMORYSTATUSEX {
  DWORD dwLength;
  DWORD dwMemoryLoad;  ///< percent
  ULONGLONG ullTotalPhys, ullAvailPhys;
  ULONGLONG ullTotalPageFile, ullAvailPageFile;  ///< what can be committed: memory and swap together
  ULONGLONG ullTotalVirtual, ullAvailVirtual;
  ULONGLONG ullAvailExtendedVirtual;
};
static_assert(sizeof(MEMORYSTATUSEX) == 64);

BOOL GlobalMemoryStatusEx(MEMORYSTATUSEX* out) {
  if (out == nullptr || out->dwLength != sizeof *out) return failed(ERROR_INVALID_PARAMETER);
  const os::MemoryStatus memory = os::memory_status();
  const std::uint64_t used = memory.physical - memory.physical_free;
  *out = {.dwLength = sizeof *out,
          .dwMemoryLoad = memory.physical == 0 ? 0 : static_cast<DWORD>(used * 100 / memory.physical),
          .ullTotalPhys = memory.physical,
          .ullAvailPhys = memory.physical_free,
          .ullTotalPageFile = memory.physical + memory.swap,
          .ullAvailPageFile = memory.physical_free + memory.swap_free,
          .ullTotalVirtual = kAddressSpace,
          .ullAvailVirtual = kAddressSpace - std::min(memory.address_space_used, kAddressSpace),
          .ullAvailExtendedVirtual = 0};
  return TRUE;
}

struct MEMORYSTATUS {
  DWORD dwLength;
  DWORD dwMemoryLoad;
  SIZE_T dwTotalPhys, dwAvailPhys, dwTotalPageFile, dwAvailPageFile, dwTotalVirtual, dwAvailVirtual;
};
static_assert(sizeof(MEMORYSTATUS) == 56);

void GlobalMemoryStatus(MEMORYSTATUS* out) {
  MEMORYSTATUSEX all{};
  all.dwLength = sizeof all;
  (void)GlobalMemoryStatusEx(&all);
  *out = {.dwLength = sizeof *out,
          .dwMemoryLoad = all.dwMemoryLoad,
          .dwTotalPhys = all.ullTotalPhys,
          .dwAvailPhys = all.ullAvailPhys,
          .dwTotalPageFile = all.ullTotalPageFile,
          .dwAvailPageFile = all.ullAvailPageFile,
          .dwTotalVirtual = all.ullTotalVirtual,
          .dwAvailVirtual = all.ullAvailVirtual};
}

// ---- processors ------------------------------------------------------------------------------------------

enum : DWORD {
  RelationProcessorCore = 0,
  RelationNumaNode = 1,
  RelationProcessorPackage = 3,
  RelationGroup = 4,
  RelationAll = 0xFFFF,
};

struct LogicalProcessorInformation {  // SYSTEM_LOGICAL_PROCESSOR_INFORMATION
  ULONG_PTR ProcessorMask;
  DWORD Relationship;
  DWORD Reserved0C;
  BYTE Flags;  ///< of a core: 1 if it has more than one processor
  BYTE Reserved11[15];
};
static_assert(sizeof(LogicalProcessorInformation) == 32);

bool is_shared(std::uint64_t core) { return std::popcount(core) > 1; }

/// Copies `answer` if it fits; `size` is the room before and the bytes needed or written after.
template <class Row>
BOOL deliver_rows(const std::vector<Row>& answer, void* out, DWORD* size) {
  const auto needed = static_cast<DWORD>(answer.size() * sizeof(Row));
  const bool fits = out != nullptr && *size >= needed;
  *size = needed;
  if (!fits) return failed(ERROR_INSUFFICIENT_BUFFER);
  std::memcpy(out, answer.data(), needed);
  return TRUE;
}

BOOL GetLogicalProcessorInformation(LogicalProcessorInformation* out, DWORD* size) {
  if (size == nullptr) return failed(ERROR_INVALID_PARAMETER);
  std::vector<LogicalProcessorInformation> rows;
  for (const std::uint64_t core : os::cores()) {
    rows.push_back({.ProcessorMask = core,
                    .Relationship = RelationProcessorCore,
                    .Reserved0C = 0,
                    .Flags = is_shared(core),
                    .Reserved11 = {}});
  }
  for (const DWORD whole : {RelationProcessorPackage, RelationNumaNode}) {
    rows.push_back({.ProcessorMask = processor_mask(),
                    .Relationship = whole,
                    .Reserved0C = 0,
                    .Flags = 0,
                    .Reserved11 = {}});
  }
  return deliver_rows(rows, out, size);
}

struct GroupAffinity {
  ULONG_PTR Mask;
  WORD Group;
  WORD Reserved[3];
};

struct ProcessorRelationship {  // SYSTEM_LOGICAL_PROCESSOR_INFORMATION_EX of a core, package or node
  DWORD Relationship;
  DWORD Size;
  BYTE Flags;
  BYTE Reserved09[21];
  WORD GroupCount;
  GroupAffinity Group;
};
static_assert(sizeof(ProcessorRelationship) == 48);

struct GroupRelationship {  // ... of the processor groups, of which there is one
  DWORD Relationship;
  DWORD Size;
  WORD MaximumGroupCount;
  WORD ActiveGroupCount;
  BYTE Reserved0C[20];
  BYTE MaximumProcessorCount;
  BYTE ActiveProcessorCount;
  BYTE Reserved22[38];
  ULONG_PTR ActiveProcessorMask;
};
static_assert(sizeof(GroupRelationship) == 80);

template <class Row>
void append_row(std::vector<char>& out, const Row& row) {
  const auto* bytes = reinterpret_cast<const char*>(&row);
  out.insert(out.end(), bytes, bytes + sizeof row);
}

void append_relationship(std::vector<char>& out, DWORD relationship, std::uint64_t mask, bool shared) {
  ProcessorRelationship row{};
  row.Relationship = relationship;
  row.Size = sizeof row;
  row.Flags = shared;
  row.GroupCount = relationship == RelationNumaNode ? 0 : 1;
  row.Group.Mask = mask;
  append_row(out, row);
}

void append_group(std::vector<char>& out) {
  GroupRelationship row{};
  row.Relationship = RelationGroup;
  row.Size = sizeof row;
  row.MaximumGroupCount = row.ActiveGroupCount = 1;
  row.MaximumProcessorCount = row.ActiveProcessorCount = static_cast<BYTE>(processors());
  row.ActiveProcessorMask = processor_mask();
  append_row(out, row);
}

BOOL GetLogicalProcessorInformationEx(DWORD relationship, void* out, DWORD* size) {
  const auto wants = [&](DWORD one) { return relationship == one || relationship == RelationAll; };
  const bool known = wants(RelationProcessorCore) || wants(RelationNumaNode) ||
                     wants(RelationProcessorPackage) || wants(RelationGroup);
  if (size == nullptr || !known) return failed(ERROR_INVALID_PARAMETER);
  std::vector<char> rows;
  if (wants(RelationProcessorCore)) {
    for (const std::uint64_t core : os::cores())
      append_relationship(rows, RelationProcessorCore, core, is_shared(core));
  }
  if (wants(RelationProcessorPackage))
    append_relationship(rows, RelationProcessorPackage, processor_mask(), false);
  if (wants(RelationNumaNode)) append_relationship(rows, RelationNumaNode, processor_mask(), false);
  if (wants(RelationGroup)) append_group(rows);
  return deliver_rows(rows, out, size);
}

constexpr WORD ALL_PROCESSOR_GROUPS = 0xFFFF;

DWORD count_in_group(WORD group) {
  if (group == 0 || group == ALL_PROCESSOR_GROUPS) return processors();
  return failed<DWORD>(ERROR_INVALID_PARAMETER);
}

DWORD GetActiveProcessorCount(WORD group) { return count_in_group(group); }
DWORD GetMaximumProcessorCount(WORD group) { return count_in_group(group); }
WORD GetActiveProcessorGroupCount() { return 1; }
WORD GetMaximumProcessorGroupCount() { return 1; }

BOOL GetNumaHighestNodeNumber(ULONG* highest) {
  *highest = 0;
  return TRUE;
}

/// Linux keeps the processor's number in the low twelve bits of the word that rdtscp reads beside the clock.
DWORD current_processor() {
  unsigned word = 0;
  __rdtscp(&word);
  return word & 0xFFF;
}

struct PROCESSOR_NUMBER {
  WORD Group;
  BYTE Number;
  BYTE Reserved;
};

BOBBIN_MS_ABI DWORD GetCurrentProcessorNumber() { return current_processor() & 63; }
BOBBIN_MS_ABI DWORD NtGetCurrentProcessorNumber() { return current_processor() & 63; }
BOBBIN_MS_ABI void GetCurrentProcessorNumberEx(PROCESSOR_NUMBER* out) {
  *out = {0, static_cast<BYTE>(current_processor() & 63), 0};
}

/// Bits of cpuid leaves 1, 7 and 80000001h behind each PF_ number; those that every x86-64 has are `always`.
bool has_feature(DWORD feature) {
  const Cpuid basic = cpuid(1);
  const Cpuid more = cpuid(7);
  const Cpuid extended = cpuid(0x80000001);
  const bool ymm = __builtin_cpu_supports("avx");  // the system saves these registers, too
  constexpr unsigned long kFsgsbase = 2;           // HWCAP2: the system lets programs use the instructions
  switch (feature) {
    case 2:   // PF_COMPARE_EXCHANGE_DOUBLE
    case 3:   // PF_MMX_INSTRUCTIONS_AVAILABLE
    case 6:   // PF_XMMI_INSTRUCTIONS_AVAILABLE (SSE)
    case 8:   // PF_RDTSC_INSTRUCTION_AVAILABLE
    case 9:   // PF_PAE_ENABLED
    case 10:  // PF_XMMI64_INSTRUCTIONS_AVAILABLE (SSE2)
    case 12:  // PF_NX_ENABLED
    case 23:  // PF_FASTFAIL_AVAILABLE
      return true;
    case 7:
      return (extended.edx >> 31 & 1) != 0;  // PF_3DNOW_INSTRUCTIONS_AVAILABLE
    case 13:
      return (basic.ecx & 1) != 0;  // PF_SSE3_INSTRUCTIONS_AVAILABLE
    case 14:
      return (basic.ecx >> 13 & 1) != 0;  // PF_COMPARE_EXCHANGE128
    case 17:
      return (basic.ecx >> 27 & 1) != 0;  // PF_XSAVE_ENABLED
    case 22:
      return (getauxval(AT_HWCAP2) & kFsgsbase) != 0;  // PF_RDWRFSGSBASE_AVAILABLE
    case 28:
      return (basic.ecx >> 30 & 1) != 0;  // PF_RDRAND_INSTRUCTION_AVAILABLE
    case 32:
      return (extended.edx >> 27 & 1) != 0;  // PF_RDTSCP_INSTRUCTION_AVAILABLE
    case 33:
      return (more.ecx >> 22 & 1) != 0;  // PF_RDPID_INSTRUCTION_AVAILABLE
    case 36:
      return (basic.ecx >> 9 & 1) != 0;  // PF_SSSE3_INSTRUCTIONS_AVAILABLE
    case 37:
      return (basic.ecx >> 19 & 1) != 0;  // PF_SSE4_1_INSTRUCTIONS_AVAILABLE
    case 38:
      return (basic.ecx >> 20 & 1) != 0;  // PF_SSE4_2_INSTRUCTIONS_AVAILABLE
    case 39:
      return ymm;  // PF_AVX_INSTRUCTIONS_AVAILABLE
    case 40:
      return ymm && (more.ebx >> 5 & 1) != 0;  // PF_AVX2_INSTRUCTIONS_AVAILABLE
    case 41:
      return __builtin_cpu_supports("avx512f") != 0;  // PF_AVX512F_INSTRUCTIONS_AVAILABLE
    case 42:
      return (more.ebx >> 9 & 1) != 0;  // PF_ERMS_AVAILABLE
    default:
      return false;
  }
}

BOOL IsProcessorFeaturePresent(DWORD feature) { return has_feature(feature); }
BOOLEAN RtlIsProcessorFeaturePresent(DWORD feature) { return has_feature(feature); }

const Export kExports[] = {
    NATIVE(kKernel32, GetActiveProcessorCount),
    NATIVE(kKernel32, GetActiveProcessorGroupCount),
    HOT(kKernel32, GetCurrentProcessorNumber),
    HOT(kKernel32, GetCurrentProcessorNumberEx),
    NATIVE(kKernel32, GetLogicalProcessorInformation),
    NATIVE(kKernel32, GetLogicalProcessorInformationEx),
    NATIVE(kKernel32, GetMaximumProcessorCount),
    NATIVE(kKernel32, GetMaximumProcessorGroupCount),
    NATIVE(kKernel32, GetNativeSystemInfo),
    NATIVE(kKernel32, GetNumaHighestNodeNumber),
    NATIVE(kKernel32, GetSystemInfo),
    NATIVE(kKernel32, GlobalMemoryStatus),
    NATIVE(kKernel32, GlobalMemoryStatusEx),
    NATIVE(kKernel32, IsProcessorFeaturePresent),
    HOT(kNtdll, NtGetCurrentProcessorNumber),
    NATIVE(kNtdll, RtlIsProcessorFeaturePresent),
};

}  // namespace

std::span<const Export> sysinfoapi_machine_natives() { return kExports; }

}  // namespace bobbin::win32
