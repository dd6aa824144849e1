// Parses any bytes as a PE file and asks it for everything it has, in both layouts. Whatever comes out must
// lie where the parser promises: a broken promise is a finding just as a crash is.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>

#include "pe/file.hpp"

namespace {

using namespace bobbin;
using namespace bobbin::pe;

void promise(bool kept, const char* what) {
  if (kept) return;
  std::fprintf(stderr, "broken promise: %s\n", what);
  std::abort();
}

void check_sections(const File& file) {
  std::uint64_t end = file.header().headers_size;
  for (const Section& section : file.sections()) {
    promise(section.rva.value % kPageSize == 0 && section.rva.value >= end,
            "sections ascend on page borders");
    end = std::uint64_t{section.rva.value} + section.virtual_size;
    promise(end <= file.header().image_size, "sections end inside the image");
    (void)file.at(section.rva, section.raw_size);
    (void)file.string_at(section.rva);
  }
}

void check_imports(const File& file, const Result<std::vector<ImportedDll>>& dlls) {
  if (!dlls) return;
  for (const ImportedDll& dll : *dlls) {
    promise(!dll.name.empty(), "an imported DLL has a name");
    promise(!dll.module_handle || file.covers(dll.module_handle, 8), "the module handle lies in the image");
    for (const ImportedSymbol& symbol : dll.symbols) {
      promise(file.covers(symbol.slot, 8), "an import's slot lies in the image");
    }
  }
}

void check_exports(const File& file) {
  const auto exports = file.exports();
  if (!exports) return;
  for (const Export& e : exports->all()) {
    promise(e.target.forwarder.empty() ? e.target.rva.value < file.header().image_size : !e.target.rva,
            "an export leads into the image or to a forwarder");
    promise(exports->find(e.ordinal).has_value(), "an export that is listed is found by ordinal");
  }
  for (const std::string_view name : {"", "f", "printf", "zzzz"}) (void)exports->find(name);
  for (const std::uint32_t ordinal : {0u, 1u, 0xFFFFu, 0xFFFFFFFFu}) (void)exports->find(ordinal);
}

void check_tls(const File& file) {
  const auto tls = file.tls();
  if (!tls || !*tls) return;
  promise(file.covers((*tls)->index, 4), "the TLS index lies in the image");
  promise(file.covers((*tls)->template_begin, (*tls)->template_size), "the TLS template lies in the image");
  promise((*tls)->alignment <= 8192, "the TLS alignment is one that a linker can ask for");
  const auto callbacks = file.tls_callbacks(**tls);
  if (!callbacks) return;
  for (const Rva callback : *callbacks) promise(file.covers(callback, 1), "a TLS callback lies in the image");
}

void check_relocations(const File& file) {
  const auto relocations = file.relocations();
  if (!relocations) return;
  for (const Relocation& r : *relocations) {
    promise(file.covers(r.at, relocation_width(r.type)), "a relocation's target lies in the image");
  }
}

void check(std::span<const std::byte> bytes, Layout layout) {
  const auto file = File::parse(bytes, "fuzz", layout);
  if (!file) {
    promise(!file.error().what.empty() && !file.error().message().empty(), "an error says what is wrong");
    return;
  }
  check_sections(*file);
  check_imports(*file, file->imports());
  check_imports(*file, file->delay_imports());
  check_exports(*file);
  check_tls(*file);
  check_relocations(*file);
  const auto exceptions = file->exceptions();
  promise(!exceptions || file->covers(exceptions->rva, exceptions->size),
          "the function table lies in the image");
  for (const Symbol& symbol : file->symbols())
    promise(file->covers(symbol.rva, 1), "a symbol lies in the image");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  check(bytes, Layout::file);
  check(bytes, Layout::mapped);
  return 0;
}
