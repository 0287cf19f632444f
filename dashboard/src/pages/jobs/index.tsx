import { Button, Kbd, Switch } from '@mantine/core'
import { useMemo, useRef, useState } from 'react'
import { useLive } from '~/api/live'
import { to } from '~/layout/routes'
import { Empty, Page, Pager, Search, Snippet, Table, usePager, useWho } from '~/parts'
import { useBulk } from './bulk'
import { Chips } from './chips'
import { Chooser } from './chooser'
import { COLUMNS, useHidden } from './columns'
import { type Filters, useFilters } from './filters'
import classes from './jobs.module.css'
import { useRowKeys } from './keys'
import { type Line, ofFolded, ofJob } from './lines'
import { Period } from './period'
import { Picker } from './picker'
import { Tabs } from './tabs'

const LIMIT = 50

const CODE = `import cloud

jids = cloud.map(lambda x: x ** 2, range(100))
print(sum(cloud.result(jids)))`

/** All jobs of the account, newest first. */
export default function Jobs() {
  const filters = useFilters()
  const pages = usePager()
  const { lines, next, error, stale } = useLines(filters, pages.cursor)
  const { data: counts } = useLive('/v1/job/count', filters.counted)
  const [hidden, setHidden] = useHidden()
  const columns = useMemo(() => COLUMNS.filter((one) => !hidden.includes(one.key)), [hidden])
  const [period, setPeriod] = useState(false)
  const [chosen, setChosen] = useState<ReadonlySet<string | number>>(new Set())
  const bulk = useBulk(() => setChosen(new Set()))
  const may = useWho().scopes.includes('jobs')
  const area = useRef<HTMLDivElement>(null)
  useRowKeys(area)
  return (
    <Page title="Jobs">
      <div className={classes.page} ref={area} aria-busy={stale || (!lines && !error)}>
        <Tabs state={filters.values.state} counts={counts} />
        <div className={classes.filters}>
          <Search label="Search jobs" value={filters.values.text ?? ''} onChange={(text) => filters.set({ text })} />
          <Picker filters={filters} counts={counts} onPeriod={() => setPeriod(true)} />
          <Chips filters={filters} />
          <div className={classes.view}>
            <Switch size="xs" label="Maps as one row" checked={filters.folded} onChange={(event) => filters.set({ fold: event.currentTarget.checked ? '1' : '0' })} />
            <Chooser hidden={hidden} onChange={setHidden} />
          </div>
        </div>
        <Table
          label="Jobs"
          columns={columns}
          rows={lines}
          error={error}
          stale={stale}
          id={idOf}
          href={hrefOf}
          name={nameOf}
          chosen={chosen}
          onChoose={may ? setChosen : undefined}
          bulk={may ? bulk.buttons : undefined}
          expected={12}
          height="max(20rem, calc(100dvh - 15.5rem))"
          empty={<Nothing filters={filters} />}
        />
        <div className={classes.foot}>
          {lines?.length ? <Keys may={may} /> : null}
          <Pager pages={pages} next={next} />
        </div>
      </div>
      <Period filters={filters} opened={period} onClose={() => setPeriod(false)} />
      {bulk.dialog}
    </Page>
  )
}

// The same functions each time, so that rows are rendered only when they have changed.
const idOf = (line: Line) => line.id
const hrefOf = (line: Line) => (line.map ? to.jobs({ submission: line.map.submission }) : to.job(line.first))
const nameOf = (line: Line) => (line.map ? `map ${line.first} to ${line.last}` : `job ${line.first}`)

/** The rows of the page that begins at `cursor`. */
function useLines({ folded, params }: Filters, cursor: string | undefined) {
  const asked = { ...params, limit: LIMIT, before: cursor === undefined ? undefined : Number(cursor) }
  const maps = useLive(folded ? '/v1/submission' : null, asked)
  const jobs = useLive(folded ? null : '/v1/job', asked)
  const lines = useMemo(() => (folded ? maps.data?.submissions.map(ofFolded) : jobs.data?.jobs.map(ofJob)), [folded, maps.data, jobs.data])
  const { data, error, stale } = folded ? maps : jobs
  return { lines: lines as Line[] | undefined, next: data?.next, error, stale }
}

function Nothing({ filters }: { filters: Filters }) {
  if (filters.any) {
    return (
      <Empty
        title="No jobs match"
        more={
          <div className={classes.center}>
            <Button variant="default" onClick={filters.clear}>
              Clear filters
            </Button>
          </div>
        }
      >
        No job of this account has all that is asked for.
      </Empty>
    )
  }
  return (
    <Empty title="No jobs yet" more={<Snippet title="In Python, on a machine that is set up" code={CODE} />}>
      A job is one call of a function, or a program, that runs over here; a map makes many at once, which are one row of this list.
    </Empty>
  )
}

const Keys = ({ may }: { may: boolean }) => (
  <p className={classes.keys}>
    <Kbd size="xs">j</Kbd> <Kbd size="xs">k</Kbd> move {may && <Kbd size="xs">x</Kbd>} {may && 'choose'} <Kbd size="xs">Enter</Kbd> open
  </p>
)
