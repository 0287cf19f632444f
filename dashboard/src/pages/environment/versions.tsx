import { useLive } from '~/api/live'
import type { Shape } from '~/api/types'
import { Bytes, type Column, Copy, format, Status, Table, Time } from '~/parts'

type Version = Shape<'VersionShown'>

/** All saved versions, the newest first. */
export function Versions({ name }: { name: string }) {
  const { data, error } = useLive('/v1/environment/version', { name })
  return <Table label="Versions" columns={COLUMNS} rows={data?.versions} error={error} expected={2} id={(one) => one.number} height="20rem" />
}

const COLUMNS: Column<Version>[] = [
  { key: 'number', title: 'Version', width: 110, cell: (one) => one.number },
  { key: 'current', title: 'For new jobs', width: 130, cell: (one) => one.current && <Status state="ready">current</Status> },
  { key: 'python', title: 'Python', from: 'sm', cell: (one) => one.python_version ?? <span className="pc-dim">none</span> },
  { key: 'size', title: 'Size', align: 'right', cell: (one) => <Bytes value={one.size} /> },
  { key: 'layers', title: 'Layers', align: 'right', from: 'md', cell: (one) => format.count(one.layers) },
  {
    key: 'digest',
    title: 'Digest',
    from: 'md',
    text: (one) => one.digest,
    cell: (one) => (
      <>
        <span className="pc-mono">{one.digest.slice(0, 12)}</span> <Copy text={one.digest} label={`Copy the digest of version ${one.number}`} />
      </>
    ),
  },
  { key: 'note', title: 'Note', from: 'lg', text: (one) => one.note, cell: (one) => <span className="pc-dim">{one.note}</span> },
  { key: 'created', title: 'Saved', align: 'right', from: 'sm', cell: (one) => <Time at={one.created} /> },
]
