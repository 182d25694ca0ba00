package atomicfile

import "golang.org/x/sys/unix"

// Free is how many bytes are free on the disk that has the file or folder at path.
func Free(path string) (int64, error) {
	var disk unix.Statfs_t
	if err := unix.Statfs(path, &disk); err != nil {
		return 0, err
	}
	return int64(disk.Bavail) * disk.Bsize, nil
}
