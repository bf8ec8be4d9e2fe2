/* What `folders.py` says, without an object for each entry: one call for a folder. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#ifdef __APPLE__
#define st_mtim st_mtimespec
#define st_ctim st_ctimespec
#endif

/* ── what is in a folder ─────────────────────────────────────────────────────────────────── */

typedef struct {
    char *text; /* one after the other, a NUL behind each */
    size_t size, room, count;
} Names;

static int
add(Names *names, const char *name)
{
    size_t length = strlen(name) + 1;
    if (length > names->room - names->size) {
        size_t room = 2 * names->room + 1024; /* a name has at most 256 */
        char *text = PyMem_RawRealloc(names->text, room);
        if (text == NULL)
            return 0;
        names->text = text;
        names->room = room;
    }
    memcpy(names->text + names->size, name, length);
    names->size += length;
    names->count++;
    return 1;
}

/* Return the kind of an entry, asking for it where the listing does not tell. */
static int
kind_of(DIR *folder, const struct dirent *entry)
{
    struct stat status;
    if (entry->d_type == DT_UNKNOWN &&
        fstatat(dirfd(folder), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0)
        return IFTODT(status.st_mode);
    return entry->d_type;
}

/* Read a folder; return whether all went well, and there was nothing unusual. */
static int
read_folder(const char *path, long long most, Names *files, Names *folders)
{
    DIR *folder = opendir(path);
    if (folder == NULL)
        return 0;
    int is_plain = 1;
    while (is_plain) {
        errno = 0;
        const struct dirent *entry = readdir(folder);
        if (entry == NULL) {
            is_plain = errno == 0;
            break;
        }
        const char *name = entry->d_name;
        if (name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0')))
            continue;
        int kind = --most < 0 ? DT_UNKNOWN : kind_of(folder, entry);
        if (kind == DT_REG || kind == DT_LNK)
            is_plain = add(files, name);
        else
            is_plain = kind == DT_DIR && add(folders, name);
    }
    closedir(folder);
    return is_plain;
}

static int
compare(const void *one, const void *other)
{
    return strcmp(*(const char *const *)one, *(const char *const *)other);
}

/* Return the names sorted, a NUL before each; NULL, without an exception, if there is no memory. */
static char *
sorted_block(const Names *names)
{
    const char **places = PyMem_RawMalloc(names->count * sizeof(*places));
    char *block = PyMem_RawMalloc(names->size + 1); /* `stpcpy` ends with a NUL */
    if (places != NULL && block != NULL) {
        const char *name = names->text;
        for (size_t i = 0; i < names->count; i++, name += strlen(name) + 1)
            places[i] = name;
        qsort(places, names->count, sizeof(*places), compare);
        char *end = block;
        for (size_t i = 0; i < names->count; i++) {
            *end++ = '\0';
            end = stpcpy(end, places[i]);
        }
    }
    else {
        PyMem_RawFree(block);
        block = NULL;
    }
    PyMem_RawFree(places);
    return block;
}

static PyObject *
list_of(const Names *names)
{
    PyObject *list = PyList_New((Py_ssize_t)names->count);
    const char *name = names->text;
    for (size_t i = 0; list != NULL && i < names->count; i++, name += strlen(name) + 1) {
        PyObject *item = PyBytes_FromString(name);
        if (item == NULL)
            Py_CLEAR(list);
        else
            PyList_SET_ITEM(list, (Py_ssize_t)i, item);
    }
    return list;
}

static PyObject *
list_folder(PyObject *module, PyObject *args)
{
    const char *path;
    long long most;
    if (!PyArg_ParseTuple(args, "yL", &path, &most) || PySys_Audit("os.scandir", "y", path) < 0)
        return NULL;
    Names files = {0}, folders = {0};
    char *block = NULL;
    int is_plain;
    Py_BEGIN_ALLOW_THREADS
    is_plain = read_folder(path, most, &files, &folders);
    if (is_plain && files.count > 0)
        is_plain = (block = sorted_block(&files)) != NULL;
    Py_END_ALLOW_THREADS
    PyObject *result;
    if (is_plain)
        result = Py_BuildValue("(y#nN)", block == NULL ? "" : block, (Py_ssize_t)files.size,
                               (Py_ssize_t)files.count, list_of(&folders));
    else
        result = Py_NewRef(Py_None);
    PyMem_RawFree(files.text);
    PyMem_RawFree(folders.text);
    PyMem_RawFree(block);
    return result;
}

/* ── whether it has changed ──────────────────────────────────────────────────────────────── */

static int64_t
nanoseconds(struct timespec time)
{
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static uint64_t
mixed(uint64_t hash, uint64_t value) /* as in splitmix64 (Steele, Lea, Flood 2014) */
{
    hash = (hash + value) * 0x9E3779B97F4A7C15u;
    return hash ^ (hash >> 29);
}

static PyObject *
stamp_of(PyObject *module, PyObject *args)
{
    const char *path;
    long long settled;
    struct stat status;
    int failed;
    if (!PyArg_ParseTuple(args, "yL", &path, &settled))
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    failed = stat(path, &status);
    Py_END_ALLOW_THREADS
    if (failed)
        return PyErr_SetFromErrnoWithFilename(PyExc_OSError, path);
    int64_t modified = nanoseconds(status.st_mtim), changed = nanoseconds(status.st_ctim);
    if (modified > settled || changed > settled)
        return PyLong_FromLong(0);
    uint64_t hash = mixed(mixed(mixed(mixed(0, (uint64_t)modified), (uint64_t)changed),
                                (uint64_t)status.st_ino), (uint64_t)status.st_dev);
    return PyLong_FromLongLong(hash == 0 ? 1 : (int64_t)hash);
}

static PyMethodDef methods[] = {
    {"list_folder", list_folder, METH_VARARGS, NULL},
    {"stamp_of", stamp_of, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_folders",
    .m_methods = methods,
};

PyMODINIT_FUNC
PyInit__folders(void)
{
    return PyModuleDef_Init(&definition);
}
