import { Parted, Page, useWho } from '~/parts'
import { Applications } from './applications'
import { Calls } from './calls'
import { Given } from './given'

/** The grant programme: calls that are open and what became of one's applications; for the owner, the other side of it. */
export default function Grants() {
  const { owner } = useWho()
  return (
    <Page title="Grants" about="Credit beyond the free hours of each month is given to who applies for it at a call.">
      {owner ? (
        <Parted
          label="Parts of the grant programme"
          tabs={[
            { name: 'own', title: 'Apply', content: <Applications /> },
            { name: 'calls', title: 'Calls', content: <Calls /> },
            { name: 'received', title: 'Applications received', content: <Given /> },
          ]}
        />
      ) : (
        <Applications />
      )}
    </Page>
  )
}
