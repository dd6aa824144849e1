// The cache of laid-out images. An entry is a file that holds an image's bytes as they stand in memory before
// relocation (offset = RVA), then one page that says which file it was made from.
//
//   <device>-<inode>.image   one entry per file: when the file changes, its entry is replaced
//   .new-<pid>-<n>           an entry that is being written; renamed when it is whole
//
// Nothing here is an error to the caller: whatever goes wrong (full disk, read-only or foreign folder,
// damaged entry), the image is copied in memory instead. Many processes may use one folder at once: entries
// appear whole, by rename, and are never written again; a process that has one mapped keeps it when another
// removes it.
//
// What is not trusted: an entry that is a symbolic link, or that another user owns or may write; a folder of
// that kind; an entry of the wrong size or made from other bytes (size, modification and change times in
// nanoseconds); an entry written before the machine was last started, whose pages may have been lost in a
// crash, since nothing waits for the disk: it is compared with the file once, byte by byte.
#pragma once

#include "image/file_bytes.hpp"
#include "image/image.hpp"
#include "pe/file.hpp"

namespace bobbin::image {

/// A file laid out as the image of `parsed`, from the cache folder of `options`; made if there is none yet.
/// No descriptor if it cannot be had.
[[nodiscard]] os::Descriptor find_laid_out(const FileBytes& file, const pe::File& parsed,
                                           const MapOptions& options);

}  // namespace bobbin::image
