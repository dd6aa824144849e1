// A file that was loaded to be looked at (LOAD_LIBRARY_AS_DATAFILE and ..._AS_IMAGE_RESOURCE).
#pragma once

#include <optional>

#include "loader/loader.hpp"

namespace bobbin::loader {

struct Loader::DataFile {
  image::FileBytes bytes;
  std::optional<image::Mapped> image;
  void* handle = nullptr;  ///< the base with bit 0 (data) or bit 1 (image) set
  std::string path;
  std::uint32_t references = 1;
};

}  // namespace bobbin::loader
