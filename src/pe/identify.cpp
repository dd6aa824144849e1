#include "pe/identify.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "pe/format.hpp"

namespace bobbin::pe {
namespace {

constexpr const char* kGetX64 = "bobbin runs x86-64 Windows programs; get that build of it";

constexpr std::pair<std::uint16_t, std::string_view> kMachines[] = {
    {0x014C, "32-bit x86"},
    {0x0162, "MIPS R3000"},
    {0x0166, "MIPS R4000"},
    {0x0184, "Alpha"},
    {0x01C0, "32-bit ARM"},
    {0x01C2, "32-bit ARM Thumb"},
    {0x01C4, "32-bit ARM (Thumb-2)"},
    {0x01F0, "PowerPC"},
    {0x0200, "Itanium"},
    {0x0284, "64-bit Alpha"},
    {0x0EBC, "EFI byte code"},
    {0x5032, "32-bit RISC-V"},
    {0x5064, "64-bit RISC-V"},
    {0x6232, "32-bit LoongArch"},
    {0x6264, "64-bit LoongArch"},
    {0x8664, "x86-64"},
    {0xA641, "ARM64EC"},
    {0xA64E, "ARM64X"},
    {0xAA64, "64-bit ARM (ARM64)"},
};

struct Magic {
  std::string_view bytes;
  const char* what;
  const char* advice;
};
using namespace std::string_view_literals;
constexpr Magic kMagics[] = {
    {"\x7F"
     "ELF"sv,
     "is an ELF file (a Linux program or library), not a Windows program", "run it directly"},
    {"#!"sv, "is a script, not a Windows program", "run it directly"},
    {"!<arch>\n"sv, "is a static or import library (.lib, .a), not a DLL", "name the DLL that it stands for"},
    {"\xCF\xFA\xED\xFE"sv, "is a Mach-O file (a macOS program)", kGetX64},
    {"\xCE\xFA\xED\xFE"sv, "is a Mach-O file (a macOS program)", kGetX64},
    {"PK\x03\x04"sv, "is a ZIP archive, not a Windows program", "unpack it first"},
    {"MSCF"sv, "is a cabinet archive, not a Windows program", "unpack it first"},
    {"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1"sv, "is an installer package (.msi), not a Windows program",
     "unpack it first, for example with msiextract"},
    {"\x64\x86"sv, "looks like an x86-64 object file, not a linked program", "link it first"},
};

/// What the second header of an MZ file announces, where it is not a PE one.
Identity identify_dos(ByteView bytes) {
  const auto pe_offset = bytes.read<U32>(offsetof(DosHeader, pe_offset));
  const auto signature = pe_offset ? bytes.read<U16>(*pe_offset) : std::nullopt;
  switch (signature ? static_cast<std::uint16_t>(*signature) : 0) {
    case 0x454E:
      return {"is a 16-bit Windows or OS/2 program (NE)", kGetX64};
    case 0x454C:
      return {"is a Windows 3.x driver or DOS extender program (LE)", kGetX64};
    case 0x584C:
      return {"is an OS/2 program (LX)", kGetX64};
    default:
      break;
  }
  if (pe_offset && *pe_offset >= bytes.size()) {
    return {
        fmt::format(
            "has an MZ header only, whose e_lfanew ({:#x}) points past its end: a DOS program, or cut short",
            static_cast<std::uint32_t>(*pe_offset)),
        "if it should be a Windows program, get it again"};
  }
  return {"is a DOS program (an MZ header without a PE one)", kGetX64};
}

}  // namespace

Identity identify(ByteView bytes) {
  if (bytes.size() == 0) return {"is empty", "if it should be a Windows program, get it again"};
  const std::string_view text(reinterpret_cast<const char*>(bytes.bytes().data()), bytes.size());
  if (text.starts_with("MZ")) return identify_dos(bytes);
  const auto* known =
      std::ranges::find_if(kMagics, [&](const Magic& m) { return text.starts_with(m.bytes); });
  if (known != std::end(kMagics)) return {known->what, known->advice};
  return {"is not a Windows program or DLL (it does not start with \"MZ\")", "check the path"};
}

std::string machine_name(std::uint16_t machine) {
  const auto* known =
      std::ranges::find(kMachines, machine, &std::pair<std::uint16_t, std::string_view>::first);
  return known != std::end(kMachines) ? std::string(known->second)
                                      : fmt::format("unknown ({:#06x})", machine);
}

}  // namespace bobbin::pe
