// The PE format as it lies in a file: the structs of winnt.h that a loader reads, in the order of a walk
// through a file. Every field is a Little<>, so a struct may be copied from any position, and none has
// padding.
//
//   DosHeader            "MZ", and at 0x3C where the next one stands
//   PE signature         "PE\0\0"
//   FileHeader           machine, number of sections
//   OptionalHeader       (not optional) addresses and sizes; then up to 16 DataDirectory
//   SectionHeader[]      which bytes of the file go where in memory
//
// What a data directory points at is described where it is parsed.
#pragma once

#include <cstdint>

#include "base/bytes.hpp"

namespace bobbin::pe {

inline constexpr std::uint16_t kDosMagic = 0x5A4D;         // "MZ"
inline constexpr std::uint32_t kPeSignature = 0x00004550;  // "PE\0\0"
inline constexpr std::uint16_t kMagicPe32 = 0x10B;
inline constexpr std::uint16_t kMagicPe32Plus = 0x20B;
inline constexpr std::uint16_t kMachineX64 = 0x8664;
inline constexpr std::uint32_t kMaxDirectories = 16;

struct DosHeader {
  U16 magic;
  std::byte unused[58];
  U32 pe_offset;
};
static_assert(sizeof(DosHeader) == 64);

struct FileHeader {
  U16 machine;
  U16 section_count;
  U32 timestamp;
  U32 symbol_table;
  U32 symbol_count;
  U16 optional_header_size;
  U16 characteristics;
};
static_assert(sizeof(FileHeader) == 20);

struct OptionalHeader {
  U16 magic;
  std::uint8_t linker_major, linker_minor;
  U32 code_size, initialized_size, uninitialized_size;
  U32 entry_point;
  U32 code_base;
  U64 image_base;
  U32 section_alignment, file_alignment;
  U16 os_major, os_minor, image_major, image_minor, subsystem_major, subsystem_minor;
  U32 win32_version;
  U32 image_size, headers_size;
  U32 checksum;
  U16 subsystem, dll_characteristics;
  U64 stack_reserve, stack_commit, heap_reserve, heap_commit;
  U32 loader_flags;
  U32 directory_count;
};
static_assert(sizeof(OptionalHeader) == 112);

struct DataDirectory {
  U32 rva;
  U32 size;
};
static_assert(sizeof(DataDirectory) == 8);

struct SectionHeader {
  char name[8];
  U32 virtual_size, rva;
  U32 raw_size, raw_offset;
  U32 relocations, line_numbers;
  U16 relocation_count, line_number_count;
  U32 characteristics;
};
static_assert(sizeof(SectionHeader) == 40);

}  // namespace bobbin::pe
