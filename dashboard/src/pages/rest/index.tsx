import { Drawer } from '@mantine/core'
import { useAction } from '~/api/action'
import { post } from '~/api/client'
import { useLive } from '~/api/live'
import { Ago, type Column, Confirm, Copy, Empty, Page, Snippet, Table, useConfirm, useQuery } from '~/parts'
import { Detail } from './detail'
import type { Endpoint } from './signature'
import classes from './rest.module.css'

const CODE = `import cloud

def area(width: float, height: float = 1.0):
    """The area of a rectangle."""
    return {"area": width * height}

print(cloud.rest.publish(area, "area"))`

/** The address as this browser sees it. */
export const url = (one: Endpoint) => `${location.origin}${one.path}`

const COLUMNS: Column<Endpoint>[] = [
  { key: 'label', title: 'Function', text: (one) => one.label, sort: (one) => one.label, cell: (one) => one.label },
  { key: 'signature', title: 'Arguments', from: 'sm', text: (one) => one.signature, cell: (one) => <span className={`pc-mono pc-cut ${classes.signature}`}>{one.signature}</span> },
  {
    key: 'path',
    title: 'Address',
    text: url,
    cell: (one) => (
      <span className={classes.address}>
        <span className="pc-mono pc-cut">{url(one)}</span>
        <Copy text={url(one)} />
      </span>
    ),
  },
  { key: 'answers', title: 'Answers', from: 'lg', cell: (one) => (one.output_encoding === 'raw' ? 'bytes' : 'JSON') },
  { key: 'type', title: 'Runs on', from: 'lg', cell: (one) => one.core_type },
  { key: 'created', title: 'Published', from: 'md', sort: (one) => one.created, cell: (one) => <Ago at={one.created} /> },
]

/** Functions that have an address. */
export default function RestPage() {
  const { data, error } = useLive('/v1/rest')
  const [query, setQuery] = useQuery('label')
  const remove = useAction((label: string) => post('/v1/rest/remove', { label }), { said: 'The address is taken away', then: () => setQuery({ label: undefined }) })
  const removing = useConfirm<string>()
  const endpoints = data?.endpoints
  const opened = endpoints?.find((one) => one.label === query.label)
  return (
    <Page title="REST" about="Functions that any program calls by HTTP. Each call is an ordinary job.">
      <Table
        label="Published functions"
        columns={COLUMNS}
        rows={endpoints}
        error={error}
        expected={3}
        id={(one) => one.label}
        href={(one) => `/rest?label=${encodeURIComponent(one.label)}`}
        empty={
          <Empty title="Nothing is published yet" more={<Snippet code={CODE} />}>
            Publish a function, and it has an address: post its arguments there, with a key.
          </Empty>
        }
      />
      <Drawer opened={query.label !== undefined} onClose={() => setQuery({ label: undefined })} position="right" size="xl" title={<strong className={classes.wrap}>{query.label}</strong>} closeButtonProps={{ 'aria-label': 'Close' }}>
        {opened && <Detail key={opened.label} endpoint={opened} remove={() => removing.open(opened.label)} />}
        {endpoints && !opened && <Empty title="There is no such address">It was taken away.</Empty>}
      </Drawer>
      <Confirm {...removing.dialog} title={`Take the address ${removing.about} away?`} action="Remove" run={() => remove.run(removing.about ?? '')}>
        Who calls it gets an error from then on, and its keys are gone for good. Jobs that it has made stay.
      </Confirm>
    </Page>
  )
}
