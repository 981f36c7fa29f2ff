// What was dropped: files, and those in folders whose ending is one that the server reads.

// The server says of the rest that it cannot read it; of a folder that would be a line for every other file.
const READ = /\.(jpe?g|png|webp|tiff?|avif|hei[cf]|bmp|ppm|mp4|mov|m4v|mkv|webm|avi|mpe?g|m?ts|m2ts)$/i;

const CLIP = /\.(mp4|mov|m4v|mkv|webm|avi|mpe?g|m?ts|m2ts)$/i;

// Whether a file seems to be a clip: not every browser knows the type of each.
export const isClip = (file) => file.type.startsWith("video/") || (!file.type && CLIP.test(file.name));

// Return the files, each with the name that it is shown by, and how many of the folders' are left out.
export async function filesOf(held) {
  // The entries have to be asked for before anything is waited for.
  const entries = [...held.items].map((item) => item.webkitGetAsEntry?.());
  const files = [...held.files].map((file) => ({ file, name: file.name }));
  const folders = entries.filter((entry) => entry?.isDirectory);
  if (!folders.length) return { files, left: 0 };
  const inside = (await Promise.all(folders.map(within))).flat();
  const read = inside.filter((entry) => READ.test(entry.name) && !entry.name.startsWith("."));
  const single = entries.filter((entry) => entry?.isFile);
  return { files: await Promise.all([...single, ...read].map(fileOf)), left: inside.length - read.length };
}

async function within(folder) {
  const reader = folder.createReader();
  const entries = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject)); // a hundred at most
    if (!some.length) break;
    entries.push(...some);
  }
  entries.sort((a, b) => a.name.localeCompare(b.name));
  const all = await Promise.all(entries.map((entry) => (entry.isDirectory ? within(entry) : [entry])));
  return all.flat();
}

async function fileOf(entry) {
  const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
  return { file, name: entry.fullPath.slice(1) };
}
