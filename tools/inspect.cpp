#include "inspect.hpp"

#include <fmt/format.h>
#include <bobbin/inspect.hpp>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace bobbin::tools {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kWidth = 100;

// ---- JSON ------------------------------------------------------------------------------------------------

Json to_json(const Inspection::ImportedDll& dll);
Json to_json(const Inspection::TlsCallback& callback);
Json to_json(const Inspection::ThreadExit& exit);

Json to_json(const Inspection::Place& place) {
  return {{"rva", place.rva}, {"section", place.section}, {"offset", place.offset}};
}

Json to_json(const Inspection::Header& h) {
  return {{"is_dll", h.is_dll},
          {"image_base", h.image_base},
          {"image_size", h.image_size},
          {"entry_point", h.entry_point},
          {"subsystem", h.subsystem},
          {"subsystem_version", fmt::format("{}.{}", h.subsystem_major, h.subsystem_minor)},
          {"characteristics", h.characteristics},
          {"dll_characteristics", h.dll_characteristics},
          {"section_alignment", h.section_alignment},
          {"file_alignment", h.file_alignment},
          {"timestamp", h.timestamp},
          {"stack_reserve", h.stack_reserve}};
}

Json to_json(const Inspection::Section& s) {
  return {{"name", s.name},
          {"rva", s.rva},
          {"virtual_size", s.virtual_size},
          {"file_offset", s.file_offset},
          {"raw_size", s.raw_size},
          {"characteristics", s.characteristics}};
}

Json to_json(const Inspection::Import& f) {
  Json json;
  if (f.name.empty()) {
    json["ordinal"] = f.ordinal;
  } else {
    json["name"] = f.name;
    json["hint"] = f.ordinal;
  }
  json["slot"] = f.slot;
  return json;
}

Json to_json(const Inspection::Export& e) {
  Json json{{"ordinal", e.ordinal}};
  if (!e.name.empty()) json["name"] = e.name;
  if (e.forwarder.empty()) {
    json["rva"] = e.rva;
  } else {
    json["forwarder"] = e.forwarder;
  }
  return json;
}

template <class T>
Json to_json(const std::vector<T>& items) {
  Json list = Json::array();
  for (const T& item : items) list.push_back(to_json(item));
  return list;
}

Json to_json(const Inspection::ImportedDll& dll) {
  return {{"name", dll.name}, {"delayed", dll.delayed}, {"functions", to_json(dll.functions)}};
}

Json to_json(const Inspection::TlsCallback& callback) {
  Json json = to_json(callback.place);
  if (!callback.name.empty()) json["name"] = callback.name;
  return json;
}

Json to_json(const Inspection::Tls& tls) {
  return {{"directory", to_json(tls.directory)},
          {"template", tls.template_size != 0 ? to_json(tls.block_template) : Json()},
          {"template_size", tls.template_size},
          {"block_size", tls.block_size},
          {"zero_fill", tls.zero_fill},
          {"alignment", tls.alignment},
          {"index", to_json(tls.index)},
          {"index_read_only", tls.index_read_only},
          {"callbacks", to_json(tls.callbacks)}};
}

Json to_json(const Inspection::ThreadExit& exit) {
  return {{"mechanism", to_string(exit.mechanism)}, {"evidence", exit.evidence}};
}

Json to_json(const Inspection& file) {
  return {{"path", file.path},
          {"file_size", file.file_size},
          {"header", to_json(file.header)},
          {"sections", to_json(file.sections)},
          {"tls", file.tls ? to_json(*file.tls) : Json()},
          {"thread_exit", to_json(file.thread_exit)},
          {"imports", to_json(file.imports)},
          {"export_name", file.export_name},
          {"exports", to_json(file.exports)},
          {"relocation_count", file.relocation_count},
          {"relocations_stripped", file.relocations_stripped},
          {"symbol_count", file.symbol_count}};
}

// ---- text ------------------------------------------------------------------------------------------------

/// Names come from the file: what a terminal would obey is shown, not sent.
std::string printable(std::string_view name) {
  std::string text;
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte >= 0x7F) {
      text += fmt::format("\\x{:02x}", byte);
    } else {
      text += c;
    }
  }
  return text;
}

const char* subsystem_name(std::uint16_t subsystem) {
  switch (subsystem) {
    case 1:
      return "native";
    case 2:
      return "graphical";
    case 3:
      return "console";
    case 10:
      return "EFI application";
    default:
      return "other";
  }
}

std::string flag_names(const Inspection::Header& h) {
  constexpr std::pair<std::uint16_t, const char*> kFlags[] = {
      {0x0040, "ASLR"}, {0x0020, "high-entropy ASLR"}, {0x0100, "DEP"}, {0x4000, "control-flow guard"}};
  std::string text;
  for (const auto& [bit, name] : kFlags) {
    if ((h.dll_characteristics & bit) != 0) text += fmt::format("{}{}", text.empty() ? "" : ", ", name);
  }
  return text.empty() ? "none" : text;
}

std::string place_name(const Inspection::Place& place) {
  const std::string section = place.section.empty() ? "headers" : printable(place.section);
  return fmt::format("{}+{:#x} (RVA {:#x})", section, place.offset, place.rva);
}

std::string plural(std::size_t count, const char* noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

const char* explanation(ThreadExitMechanism mechanism) {
  using enum ThreadExitMechanism;
  switch (mechanism) {
    case tls_callbacks:
      return "TLS callbacks";
    case fls:
      return "FLS callback";
    case thread_atexit:
      return "C++ destructors";
    case emulated_tls:
      return "emulated TLS";
    case pthread_keys:
      return "pthread keys";
    case tls_slots:
      return "TLS slots";
  }
  return "";
}

class Printer {
 public:
  Printer(const Inspection& file, bool colour) : file_(file), colour_(colour) {}

  std::string run() {
    print_header();
    print_tls();
    print_sections();
    print_imports();
    print_exports();
    return std::move(text_);
  }

 private:
  template <class... Values>
  void line(fmt::format_string<Values...> form, Values&&... values) {
    text_ += fmt::format(form, std::forward<Values>(values)...) + '\n';
  }
  void heading(std::string_view title) {
    line("");
    line("{}{}{}", colour_ ? "\033[1m" : "", title, colour_ ? "\033[0m" : "");
  }
  template <class... Values>
  void field(const char* name, fmt::format_string<Values...> form, Values&&... values) {
    line("  {:<16}{}", name, fmt::format(form, std::forward<Values>(values)...));
  }

  void print_header() {
    const auto& h = file_.header;
    line("{}{}{}: {} for x86-64 (PE32+), {} bytes", colour_ ? "\033[1m" : "", printable(file_.path),
         colour_ ? "\033[0m" : "", h.is_dll ? "DLL" : "program", file_.file_size);
    field("subsystem", "{} {}.{}", subsystem_name(h.subsystem), h.subsystem_major, h.subsystem_minor);
    field("image", "{:#x} bytes at {:#x}", h.image_size, h.image_base);
    field("entry point", "{}", h.entry_point != 0 ? entry_name() : "none");
    field("alignment", "{} in memory, {} in the file", h.section_alignment, h.file_alignment);
    field("relocations", "{}{}", file_.relocation_count, file_.relocations_stripped ? " (stripped)" : "");
    field("symbols", "{}", file_.symbol_count);
    field("protection", "{}", flag_names(h));
  }

  [[nodiscard]] std::string entry_name() const {
    const std::uint32_t rva = file_.header.entry_point;
    Inspection::Place place{.rva = rva, .section = {}, .offset = rva};
    for (const auto& s : file_.sections) {
      if (s.rva <= rva) place = {.rva = rva, .section = s.name, .offset = rva - s.rva};
    }
    return place_name(place);
  }

  void print_tls() {
    heading("Thread-local storage");
    if (file_.tls) {
      const auto& tls = *file_.tls;
      field("directory", "{}", place_name(tls.directory));
      if (tls.template_size != 0) {
        field("template", "{} bytes at {}", tls.template_size, place_name(tls.block_template));
      } else {
        field("template", "empty");
      }
      field(
          "block", "{} bytes per thread, {}", tls.block_size,
          tls.alignment != 0 ? fmt::format("aligned to {}", tls.alignment) : "aligned as the heap does (16)");
      if (tls.zero_fill != 0) field("zero fill", "{} bytes, which Windows ignores", tls.zero_fill);
      field("index", "{}{}", place_name(tls.index), tls.index_read_only ? ", in a read-only section" : "");
      field("callbacks", "{}", tls.callbacks.size());
      for (const auto& callback : tls.callbacks) {
        line("    {:<32}{}", callback.name.empty() ? "(no symbol)" : printable(callback.name),
             place_name(callback.place));
      }
    } else {
      field("directory", "none");
    }
    if (file_.thread_exit.empty()) field("thread exit", "nothing that this file takes part in");
    const char* label = "thread exit";
    for (const auto& exit : file_.thread_exit) {
      std::string evidence;
      for (const auto& one : exit.evidence) evidence += (evidence.empty() ? "" : ", ") + printable(one);
      field(label, "{:<16}{}", explanation(exit.mechanism), evidence);
      label = "";
    }
  }

  void print_sections() {
    heading(plural(file_.sections.size(), "section"));
    if (!file_.sections.empty()) {
      line("  {:<16}{:>12}{:>12}{:>12}{:>12}  {}", "name", "RVA", "size", "file offset", "file bytes",
           "access");
    }
    for (const auto& s : file_.sections) {
      line("  {:<16}{:>#12x}{:>#12x}{:>#12x}{:>#12x}  {}{}{}", printable(s.name), s.rva, s.virtual_size,
           s.file_offset, s.raw_size, s.readable ? 'r' : '-', s.writable ? 'w' : '-',
           s.executable ? 'x' : '-');
    }
  }

  void print_imports() {
    std::size_t functions = 0;
    for (const auto& dll : file_.imports) functions += dll.functions.size();
    heading(fmt::format("Imports: {} from {}", plural(functions, "function"),
                        plural(file_.imports.size(), "DLL")));
    for (const auto& dll : file_.imports) {
      line("  {}{} ({})", printable(dll.name), dll.delayed ? ", delayed" : "", dll.functions.size());
      std::vector<std::string> names;
      names.reserve(dll.functions.size());
      for (const auto& f : dll.functions) {
        names.push_back(f.name.empty() ? fmt::format("#{}", f.ordinal) : printable(f.name));
      }
      print_wrapped(names);
    }
  }

  /// Words in lines of kWidth, indented.
  void print_wrapped(const std::vector<std::string>& words) {
    std::string current;
    for (const auto& word : words) {
      if (!current.empty() && current.size() + word.size() + 6 > kWidth) {
        line("    {}", current);
        current.clear();
      }
      current += (current.empty() ? "" : "  ") + word;
    }
    if (!current.empty()) line("    {}", current);
  }

  void print_exports() {
    heading(fmt::format("Exports: {}{}", file_.exports.size(),
                        file_.export_name.empty() ? "" : " as " + printable(file_.export_name)));
    for (const auto& e : file_.exports) {
      const std::string target =
          e.forwarder.empty() ? fmt::format("{:#x}", e.rva) : "-> " + printable(e.forwarder);
      line("  {:>6}  {:<48} {}", e.ordinal, e.name.empty() ? "(by ordinal)" : printable(e.name), target);
    }
  }

  const Inspection& file_;
  bool colour_;
  std::string text_;
};

int exit_code(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::not_found:
      return 127;
    case ErrorKind::not_pe:
    case ErrorKind::wrong_machine:
    case ErrorKind::malformed:
    case ErrorKind::unsupported:
      return 126;
    default:
      return 125;
  }
}

}  // namespace

int run_inspect(const std::string& path, bool json, bool colour) {
  const auto file = inspect(path);
  if (!file) {
    fmt::print(stderr, "bobbin: {}\n", file.error().message());
    return exit_code(file.error().kind);
  }
  // Names that are not UTF-8 must not make the JSON invalid.
  const std::string text = json ? to_json(*file).dump(2, ' ', false, Json::error_handler_t::replace) + "\n"
                                : Printer(*file, colour).run();
  std::fwrite(text.data(), 1, text.size(), stdout);
  return std::fflush(stdout) == 0 ? 0 : 125;
}

}  // namespace bobbin::tools
