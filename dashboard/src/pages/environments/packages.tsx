import { useMemo, useState } from 'react'
import { useLive } from '~/api/live'
import type { Shape } from '~/api/types'
import { type Column, Empty, format, Search, Table } from '~/parts'
import classes from './environments.module.css'

type Package = Shape<'Package'> & { at: number }
const MOST = 100

/** All that is installed in a saved environment or a base. `name` as the server takes it: "sci", "base/bookworm", "/anna/sci". */
export function Packages({ name }: { name: string }) {
  const { data, error } = useLive('/v1/environment/package', { name })
  const [text, setText] = useState('')
  const found = useMemo(() => data?.packages.map((one, at) => ({ ...one, at })).filter((one) => one.name.toLowerCase().includes(text.toLowerCase())), [data, text])
  return (
    <div className={classes.stack}>
      <div className={classes.line}>
        <Search label="Search packages" value={text} onChange={setText} pause={0} />
        {found && (
          <span className="pc-dim">
            {format.count(found.length)} {found.length === 1 ? 'package' : 'packages'}
            {found.length > MOST && `, the first ${MOST} are shown`}
          </span>
        )}
      </div>
      <Table label="Packages" columns={COLUMNS} rows={found?.slice(0, MOST)} error={error} id={(one) => one.at} height="24rem" empty={<Empty title={text ? 'No package of that name' : 'No packages are known'} />} />
    </div>
  )
}

const COLUMNS: Column<Package>[] = [
  { key: 'name', title: 'Package', text: (one) => one.name, sort: (one) => one.name, cell: (one) => one.name },
  { key: 'version', title: 'Version', text: (one) => one.version, cell: (one) => <span className="pc-mono">{one.version}</span> },
  { key: 'kind', title: 'From', width: 120, sort: (one) => one.kind, cell: (one) => one.kind },
]
