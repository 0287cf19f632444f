import { useLive } from '~/api/live'
import type { Shape } from '~/api/types'
import { Empty, ErrorBox, Page, Section, Snippet } from '~/parts'
import { Files } from '~/parts/files/Files'
import { quoted } from '~/parts/files/names'

const CRUMBS = [{ title: 'Volumes', href: '/volumes' }]

/** What is in a volume, and how jobs get it. */
export function Inside({ name }: { name: string }) {
  const { data, error } = useLive('/v1/volume', { name })
  const [one] = data?.volumes ?? []
  if (!one || one.host)
    return (
      <Page title={name} crumbs={CRUMBS}>
        <ErrorBox error={error} />
        {one && <Host one={one} />}
      </Page>
    )
  return (
    <Files
      title={name}
      crumbs={CRUMBS}
      volume={name}
      place={one.mount}
      about={one.description}
      after={<Use one={one} />}
      empty={
        <Empty title="The volume is empty" more={<Snippet code={`picloud volume sync folder/ ${name}:folder`} />}>
          Drop files here, fill it from your machine, or let a job write into {one.mount}.
        </Empty>
      }
    />
  )
}

function Host({ one }: { one: Shape<'VolumeShown'> }) {
  return (
    <>
      <div className="pc-card">
        <Empty title={`It shows ${one.host}`}>A folder of the server's machine{one.read_only && ', for reading only'}: its files are where they were, and jobs see them as {one.mount}.</Empty>
      </div>
      <Use one={one} />
    </>
  )
}

function Use({ one }: { one: Shape<'VolumeShown'> }) {
  const code = `cloud.call(lambda: os.listdir(${JSON.stringify(one.mount)}), _vol=${JSON.stringify(one.name)})

# or from a shell
picloud exec -v ${quoted(one.name)} ${quoted(`ls -l ${quoted(one.mount)}`)}`
  return (
    <Section title="In jobs">
      <Snippet code={code} />
    </Section>
  )
}
