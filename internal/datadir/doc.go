// Package datadir owns the data dir: it makes it, locks it for one process,
// tells other commands where the running server listens, and keeps a little
// space back for a full disk.
//
// What it promises:
//
//   - One process at a time: a second Open fails within 2 s with a LockedError
//     that names the holder's PID. The lock is the kernel's (flock), so it ends
//     with its process, however that ends; nothing has to be cleaned up.
//   - After a crash or a power cut at any moment of the first Open there is no
//     dir, an empty one, or a usable one.
//   - The dir has mode 0700, its files 0600. A folder with other people's files
//     in it is refused, not taken over.
//   - Every file is known by the dir's handle (package folder): a dir that is moved
//     away is noticed by Check, and nothing is done in another one at its path.
//     What is no regular file in place of a store's refuses the start; in place of
//     a file that only serves us it is reported and left alone. Nothing is waited for.
//   - admin.json appears whole or not at all. One that a dead server left is
//     recognised by the lock that nobody holds.
//
// Sizes are bytes.
package datadir
