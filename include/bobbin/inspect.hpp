// What is in a Windows program or DLL, without running it: headers, sections, imports, exports, and above all
// its thread-local storage. Plain data; nothing is loaded and no guest code runs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <bobbin/error.hpp>

namespace bobbin {

/// How a file takes part in what happens when a thread ends (or is told of threads at all).
enum class ThreadExitMechanism : std::uint8_t {
  tls_callbacks,  ///< functions in its TLS directory (.CRT$XL*), called when threads are born and end
  fls,            ///< FlsAlloc with a callback, called at thread exit outside the loader lock
  thread_atexit,  ///< a C++ runtime's registration of thread_local destructors (__cxa_thread_atexit, ...)
  emulated_tls,  ///< GCC's __emutls_get_address: thread_local without a TLS directory, freed by a pthread key
  pthread_keys,  ///< pthread_key_create of winpthreads, whose own TLS callback runs the destructors
  tls_slots,     ///< plain TlsAlloc: nothing is told at exit, somebody must clean up
};

/// The mechanism's name in JSON and for people: "tls_callbacks", "fls", ...
[[nodiscard]] const char* to_string(ThreadExitMechanism mechanism);

/// All that inspect() finds. Addresses are RVAs (relative to the image's base) unless they say otherwise.
struct Inspection {
  struct Header {
    bool is_dll = false;
    std::uint64_t image_base = 0;  ///< preferred; an absolute address
    std::uint32_t image_size = 0;
    std::uint32_t entry_point = 0;  ///< 0 if there is none
    std::uint16_t subsystem = 0;    ///< IMAGE_SUBSYSTEM_*: 2 graphical, 3 console
    std::uint16_t subsystem_major = 0, subsystem_minor = 0;
    std::uint16_t characteristics = 0;      ///< IMAGE_FILE_*
    std::uint16_t dll_characteristics = 0;  ///< IMAGE_DLLCHARACTERISTICS_*
    std::uint32_t section_alignment = 0, file_alignment = 0;
    std::uint32_t timestamp = 0;  ///< seconds since 1970, or a hash in reproducible builds
    std::uint64_t stack_reserve = 0;
  };
  struct Section {
    std::string name;
    std::uint32_t rva = 0;
    std::uint32_t virtual_size = 0;
    std::uint64_t file_offset = 0;
    std::uint32_t raw_size = 0;  ///< bytes taken from the file; the rest is zero
    std::uint32_t characteristics = 0;
    bool readable = false, writable = false, executable = false;
  };
  /// One imported function; `name` is empty when it is imported by ordinal.
  struct Import {
    std::string name;
    std::uint16_t ordinal = 0;  ///< the ordinal, or the hint of a name
    std::uint32_t slot = 0;     ///< its cell in the import address table
  };
  struct ImportedDll {
    std::string name;
    bool delayed = false;  ///< a delay import: loaded at its first call
    std::vector<Import> functions;
  };
  struct Export {
    std::string name;  ///< empty when exported by ordinal only
    std::uint32_t ordinal = 0;
    std::uint32_t rva = 0;  ///< 0 if forwarded
    std::string forwarder;  ///< "OTHER.Function", or empty
  };
  /// A place in the image, as a person names it.
  struct Place {
    std::uint32_t rva = 0;
    std::string section;       ///< empty in the headers
    std::uint32_t offset = 0;  ///< in that section
  };
  struct TlsCallback {
    Place place;
    std::string name;  ///< of a COFF symbol or an export there; empty if nothing tells
  };
  struct Tls {
    Place directory;
    Place block_template;             ///< meaningful if template_size is not 0
    std::uint32_t template_size = 0;  ///< bytes that each thread's block starts with
    std::uint32_t block_size =
        0;  ///< bytes of each thread's block: Windows ignores SizeOfZeroFill, so the same
    std::uint32_t zero_fill = 0;   ///< SizeOfZeroFill as the file says
    std::uint32_t alignment = 0;   ///< asked for in Characteristics; 0 means the heap's (16 bytes)
    Place index;                   ///< the 32-bit _tls_index
    bool index_read_only = false;  ///< in a section that the file says is not writable
    std::vector<TlsCallback> callbacks;
  };
  struct ThreadExit {
    ThreadExitMechanism mechanism{};
    std::vector<std::string> evidence;  ///< "FlsAlloc from KERNEL32.dll", "symbol __dyn_tls_dtor", ...
  };

  std::string path;
  std::uint64_t file_size = 0;
  Header header;
  std::vector<Section> sections;
  std::vector<ImportedDll> imports;
  std::string export_name;  ///< what the file calls itself in its export directory; may be empty
  std::vector<Export> exports;
  std::size_t relocation_count = 0;
  bool relocations_stripped = false;
  std::size_t symbol_count = 0;  ///< COFF symbols that lie in sections; 0 if they were stripped
  std::optional<Tls> tls;
  std::vector<ThreadExit> thread_exit;
};

/// Inspects the file at `path`. Fails as loading it would (not_pe, wrong_machine, malformed, not_found, ...),
/// the error naming file, field and offset. Thread-safe; needs no Runtime.
[[nodiscard]] Result<Inspection> inspect(const std::string& path);

}  // namespace bobbin
